"""Opening a conversation: from the arrival of 50 sealed rows to all of them opened and drawn, in the browser.

Run: .venv/bin/python -m benchmarks.open_messages   (a Sotto of its own, in a temporary folder).
Prints the median of ROUNDS openings (goal: at most 150 ms), and its ratio to WebCrypto alone decrypting the same 50.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.browser import Person, connect
from tests.doorway import chromium, doorway
from tests.people import Server
from tests.test_browser_history import store_past

ROWS = 50
ROUNDS = 10
GOAL_MS = 150
WORDS = "A message of a usual length, as people write them to each other all day long."

# From htmx's last moment before the swap to the frame in which no row is sealed any more.
OPENING = """(name) => new Promise((resolve) => {
  let start = 0;
  addEventListener("htmx:beforeSwap", () => { start = performance.now(); }, { once: true });
  const chat = document.querySelector(".message-scroll");
  const watch = new MutationObserver(() => {
    const rows = chat.querySelectorAll(".message");
    if (rows.length < 50 || chat.querySelector(".sealed")) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
  });
  watch.observe(chat, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
  for (const row of document.querySelectorAll(".contact-list button")) {
    if (row.getAttribute("aria-label").startsWith(`Chat with ${name} `)) row.click();
  }
})"""

WEBCRYPTO_ALONE = """async (contactId) => {
  const page = await (await fetch(`/fragments/history/${contactId}`)).text();
  const parsed = new DOMParser().parseFromString(page, "text/html");
  const envelopes = [...parsed.querySelectorAll("[data-text]")].map((row) => JSON.parse(row.dataset.text));
  const keys = JSON.parse(localStorage.contactKeys)[contactId];
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const point = ({ kty, crv, x, y }) => ({ kty, crv, x, y });
  const theirs = await crypto.subtle.importKey("jwk", point(JSON.parse(keys.theirPublicKey)), curve, false, []);
  const mine = await crypto.subtle.importKey("jwk", JSON.parse(keys.myPrivateKey), curve, false, ["deriveKey"]);
  const algorithm = { name: "AES-GCM", length: 256 };
  const agreed = { name: "ECDH", public: theirs };
  const key = await crypto.subtle.deriveKey(agreed, mine, algorithm, false, ["decrypt"]);
  const start = performance.now();
  await Promise.all(
    envelopes.map(({ iv, content }) =>
      crypto.subtle.decrypt({ name: "AES-GCM", iv: Uint8Array.from(iv) }, key, Uint8Array.from(content)),
    ),
  );
  return [performance.now() - start, envelopes.length];
}"""


def openings(mara: Person, jonas: Person, ines: Person) -> list[float]:
    """The times (ms) of ROUNDS openings of the conversation with jonas; the other one lies between them."""
    times = []
    for _ in range(ROUNDS):
        mara.open_chat(ines)
        times.append(float(mara.page.evaluate(OPENING, jonas.username)))
    return times


def alone(mara: Person, jonas: Person) -> list[float]:
    """The times (ms) of WebCrypto alone for the same rows."""
    times = []
    for _ in range(ROUNDS):
        elapsed, count = mara.page.evaluate(WEBCRYPTO_ALONE, jonas.id)
        assert count == ROWS
        times.append(float(elapsed))
    return times


def main() -> None:
    """Print the times beside the goal."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Server(Path(folder))
        with doorway(browser, site.origin) as enter:
            mara, jonas, ines = enter("mara"), enter("jonas"), enter("ines")
            connect(mara, jonas)
            connect(mara, ines)
            store_past(site, jonas, mara, [f"{number} {WORDS}" for number in range(2 * ROWS)])
            mara.reload()
            opened, decrypted = openings(mara, jonas, ines), alone(mara, jonas)
        site.stop()
    median, floor = statistics.median(opened), statistics.median(decrypted)
    print(f"{ROWS} rows opened and drawn: median {median:.0f} ms of {ROUNDS} ({min(opened):.0f}–{max(opened):.0f})")
    print(f"  goal: at most {GOAL_MS} ms: {'met' if median <= GOAL_MS else 'MISSED'}")
    print(f"WebCrypto alone, the same {ROWS}: median {floor:.1f} ms; ratio {median / floor:.1f}")


if __name__ == "__main__":
    main()

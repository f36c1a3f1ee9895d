"""Files in the browser: sealing, uploading, fetching and opening 50 MB, beside plain WebCrypto over the same bytes.

Run: .venv/bin/python -m benchmarks.files   (a Sotto of its own, in a temporary folder).
Prints medians in MB/s of ROUNDS turns, the length of the ciphertext, and by how much the memory of the sender's and of
the receiver's tab grows at most (RSS of its process) while a file of that size is sent and fetched by the page.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.attachments import arrived
from tests.browser import Person, connect
from tests.doorway import chromium, doorway
from tests.people import Server

SIZE = 50_000_000
ROUNDS = 5
GOAL_RATIO = 1.001
GOAL_GROWTH_MIB = 64
TRANSFER_TIMEOUT_MS = 120_000
# Writing this to a process' clear_refs sets its peak memory back to what it has now (proc(5)).
RESET_PEAK = "5"

# Seconds of each step, by the page's own modules; then of WebCrypto alone on the same 1 MiB chunks.
TURN = """async ({ size, csrf }) => {
  const { sealFile, upload, openFile, CHUNK_BYTES } = await import("/static/js/files.js");
  const noise = (length) => crypto.getRandomValues(new Uint8Array(length));
  const file = new Blob(Array.from({ length: size / 50_000 }, () => noise(50_000)));
  const [quiet, signal] = [() => {}, new AbortController().signal];
  const took = {};
  const timed = async (name, work) => {
    const began = performance.now();
    const result = await work();
    took[name] = (performance.now() - began) / 1000;
    return result;
  };
  const description = { name: "film.bin", type: "application/octet-stream" };
  const { sealed, info } = await timed("seal", () => sealFile(file, description, quiet, signal));
  const fileUrl = await timed("upload", () => upload(sealed, "sealed", csrf, quiet, signal));
  const opened = await timed("fetch and open", () => openFile(fileUrl, info, quiet, signal));
  if (opened.size !== size) throw new Error("not what was sent");

  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const chunks = [];
  for (let at = 0; at < size; at += CHUNK_BYTES) chunks.push(await file.slice(at, at + CHUNK_BYTES).arrayBuffer());
  const algorithm = { name: "AES-GCM", iv: new Uint8Array(12) };
  const secrets = await timed("WebCrypto encrypts", async () => {
    const done = [];
    for (const chunk of chunks) done.push(await crypto.subtle.encrypt(algorithm, key, chunk));
    return done;
  });
  await timed("WebCrypto decrypts", async () => {
    for (const secret of secrets) await crypto.subtle.decrypt(algorithm, key, secret);
  });
  return { took, ratio: sealed.size / size };
}"""


def _status(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _growth_mib(browser: Browser, work: Callable[[], None]) -> float:
    """By how much the tab that does `work` grew at its peak: the others are idle, so it is the one that grew most."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [int(process["id"]) for process in processes if process["type"] == "renderer"]
    before = {}
    for renderer in renderers:
        Path(f"/proc/{renderer}/clear_refs").write_text(RESET_PEAK)
        before[renderer] = _status(renderer, "VmRSS")
    work()
    return max(_status(renderer, "VmHWM") - before[renderer] for renderer in renderers) / 1024


def _memory(browser: Browser, mara: Person, jonas: Person, file: Path) -> tuple[float, float]:
    """The growth in MiB of the sender's and of the receiver's tab, for a file that goes by the page."""

    def send() -> None:
        mara.page.set_input_files("#file-upload", file)
        mara.page.get_by_role("dialog", name="Send files").get_by_role("button", name="Send files").click()
        expect(mara.page.locator(f'.message .open-file[title*="{file.name}"]')).to_be_visible(
            timeout=TRANSFER_TIMEOUT_MS
        )

    def fetch() -> None:
        row = arrived(jonas, file.name)
        with jonas.page.expect_download(timeout=TRANSFER_TIMEOUT_MS) as download:
            row.get_by_role("button", name="Download").click()
        if Path(download.value.path()).read_bytes() != file.read_bytes():
            raise RuntimeError("another file arrived than was sent")

    return _growth_mib(browser, send), _growth_mib(browser, fetch)


def _speeds(person: Person) -> tuple[dict[str, float], float]:
    """MB/s of each step, and the length of the ciphertext as a multiple of the plaintext's."""
    csrf = next(cookie["value"] for cookie in person.context.cookies() if cookie["name"] == "sotto_csrf")
    turns: list[dict[str, Any]] = [person.page.evaluate(TURN, {"size": SIZE, "csrf": csrf}) for _ in range(ROUNDS)]
    times = {name: statistics.median(turn["took"][name] for turn in turns) for name in turns[0]["took"]}
    times["seal and upload"] = statistics.median(turn["took"]["seal"] + turn["took"]["upload"] for turn in turns)
    return {name: SIZE / 1e6 / seconds for name, seconds in times.items()}, max(turn["ratio"] for turn in turns)


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def main() -> None:
    """Print the figures beside their goals."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Server(Path(folder))
        file = Path(folder) / "film.bin"
        file.write_bytes(os.urandom(SIZE))
        with doorway(browser, site.origin) as enter:
            mara, jonas = enter("mara"), enter("jonas")
            connect(mara, jonas)
            sending, fetching = _memory(browser, mara, jonas, file)
            speeds, ratio = _speeds(mara)
        site.stop()
    for name, floor in (("seal and upload", "WebCrypto encrypts"), ("fetch and open", "WebCrypto decrypts")):
        print(
            f"{name}: {speeds[name]:.0f} MB/s; {floor} {speeds[floor]:.0f} MB/s: {speeds[name] / speeds[floor]:.2f} x"
        )
    print(f"  of which seal {speeds['seal']:.0f} MB/s, upload {speeds['upload']:.0f} MB/s")
    print(f"ciphertext: {ratio:.6f} x plaintext; goal at most {GOAL_RATIO}: {_met(ratio <= GOAL_RATIO)}")
    for who, growth in (("sender's", sending), ("receiver's", fetching)):
        goal = f"goal below {GOAL_GROWTH_MIB} MiB: {_met(growth < GOAL_GROWTH_MIB)}"
        print(f"the {who} tab grows by {growth:.1f} MiB at most; {goal}")


if __name__ == "__main__":
    main()

"""A call as two pages have it: who rings, what flows, how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser import Person, connect
from tests.doorway import doorway

MEDIA = ["microphone", "camera"]

# What came in and went out so far, and the ways of the selected pair, of the call this page is in; null without one.
STATISTICS = """async () => {
  const { currentCall } = await import("/static/js/calls.js");
  const call = currentCall();
  if (!call) return null;
  const all = [...(await call.peer.connection.getStats()).values()];
  const found = { state: call.peer.connection.connectionState, audioIn: 0, audioOut: 0, energyIn: 0, videoIn: 0 };
  for (const one of all) {
    if (one.type === "inbound-rtp" && one.kind === "audio") {
      Object.assign(found, { audioIn: one.packetsReceived, energyIn: one.totalAudioEnergy ?? 0 });
    } else if (one.type === "outbound-rtp" && one.kind === "audio") found.audioOut = one.packetsSent;
    else if (one.type === "inbound-rtp" && one.kind === "video") found.videoIn = one.framesDecoded ?? 0;
    else if (one.type === "transport" && one.selectedCandidatePairId) {
      const pair = all.find(({ id }) => id === one.selectedCandidatePairId);
      const way = (id) => all.find((candidate) => candidate.id === id)?.candidateType;
      found.ways = [way(pair.localCandidateId), way(pair.remoteCandidateId)];
    }
  }
  return found;
}"""

# The browser's question for the microphone stays open until permit(), which answers how many tracks there are then.
SLOW_MICROPHONE = """() => {
  globalThis.permit = null;
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wish) => new Promise((resolve) => {
    globalThis.permit = async () => {
      navigator.mediaDevices.getUserMedia = ask;
      globalThis.opened = await ask(wish);
      resolve(opened);
      return opened.getTracks().length;
    };
  });
}"""


def permit(person: Person) -> int:
    """Answer the browser's question, once it is asked; how many tracks there are then."""
    person.until(lambda: person.page.evaluate("permit !== null"), "the question for the microphone")
    return int(person.page.evaluate("permit()"))


def statistics(person: Person) -> dict[str, Any]:
    """The figures of a page's call; {} when it has none."""
    found: dict[str, Any] | None = person.page.evaluate(STATISTICS)
    return found or {}


def ring(caller: Person, callee: Person) -> None:
    """Call, and wait until it rings at the other end."""
    caller.button(f"Start call with {callee.username}").click()
    expect(callee.page.get_by_role("dialog", name=f"Incoming Call from {caller.username}")).to_be_visible()


def answer(callee: Person) -> None:
    """Take the call that rings."""
    callee.button("Answer").click()


def wait_for_sound(*people: Person) -> None:
    """Wait until audio that was not there yet arrives at each of them."""
    for one in people:
        before = statistics(one).get("audioIn", 0)
        one.until(lambda one=one, before=before: statistics(one).get("audioIn", 0) > before, "packets of audio")  # type: ignore[misc]


def wait_for_call(*people: Person) -> None:
    """Wait until they are in a call, and hear each other."""
    for one in people:
        expect(one.page.locator(".call-panel")).to_contain_text("On Call with")
    wait_for_sound(*people)


def talk(caller: Person, callee: Person) -> None:
    """Bring a call up, with sound in both directions."""
    ring(caller, callee)
    answer(callee)
    wait_for_call(caller, callee)


def wait_for_end(*people: Person) -> None:
    """Wait until none of them has a call, or anything of one on the page."""
    for one in people:
        expect(one.page.locator(".call-panel")).to_be_hidden()
        expect(one.page.locator("#incoming-call")).to_be_hidden()
        assert statistics(one) == {}


@contextmanager
def callers(browser: Browser, origin: str) -> Iterator[tuple[Person, Person]]:
    """Two with keys, microphones and cameras, and the conversation open."""
    with doorway(browser, origin) as enter:
        mara, jonas = enter("mara", permissions=MEDIA), enter("jonas", permissions=MEDIA)
        connect(mara, jonas)
        yield mara, jonas

"""Calls with people whose client does not seal answers: it works, it says so, and a swapped fingerprint ends it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import Enter, Person
from tests.calling import MEDIA, statistics, wait_for_end, wait_for_sound
from tests.people import Person as Client
from tests.people import Server
from tests.seals import KeyPair

pytest_plugins = ["tests.doorway"]

# What such a client does with an offer: one complete answer. A page of its own stands in for its browser.
ANSWER = """async (sdp) => {
  const connection = (globalThis.connection = new RTCPeerConnection());
  await connection.setRemoteDescription({ type: "offer", sdp });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  for (const track of stream.getTracks()) connection.addTrack(track, stream);
  await connection.setLocalDescription(await connection.createAnswer());
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
}"""


@dataclass
class Older:
    """Somebody with the older client: a socket, a key pair without `sotto`, and a page that can WebRTC."""

    client: Client
    keys: KeyPair
    page: Page
    theirs: str = ""

    def offer(self) -> str:
        """The SDP of the call that comes in."""
        sealed = self.client.line.wait_for("incoming_call")["signal"]
        offer = json.loads(self.keys.open(sealed, self.theirs))
        assert offer["type"] == "offer"
        return str(offer["sdp"])

    def answer(self, caller: Person, alter: Callable[[str], str] = lambda sdp: sdp) -> None:
        """Answer it in clear; `alter` is what a relay on the way makes of that."""
        sdp = alter(self.page.evaluate(ANSWER, self.offer()))
        answered = self.client.line.ask("answer_call", {"to": caller.id, "signal": {"type": "answer", "sdp": sdp}})
        assert answered["ok"]


@pytest.fixture
def couple(browser: Browser, site: Server, enter: Enter) -> Iterator[tuple[Person, Older]]:
    """Somebody on our page and somebody with an older client, with keys."""
    mara = enter("mara", permissions=MEDIA)
    context = browser.new_context(permissions=MEDIA, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{site.origin}/login")
    older = Older(Client(site), KeyPair.fresh(), page)
    asked = older.client.line.ask("request_key_exchange", {"targetUserId": mara.id, "publicKey": older.keys.public})
    assert asked["ok"]
    mara.accept()
    older.theirs = older.client.line.wait_for("key_exchange_response")["publicKey"]
    mara.page.get_by_role("button", name=re.compile(f"^Chat with {older.client.username}")).click()
    yield mara, older
    older.client.leave()
    context.close()


def call(mara: Person, older: Older) -> None:
    """Call the older client."""
    mara.button(f"Start call with {older.client.username}").click()


def test_a_call_with_an_older_client_works_and_says_that_its_encryption_is_basic(couple: tuple[Person, Older]) -> None:
    mara, older = couple
    call(mara, older)
    older.answer(mara)
    expect(mara.page.locator(".call-panel")).to_contain_text("On Call with")
    expect(mara.page.locator(".call-panel .basic")).to_have_text("Basic encryption")
    wait_for_sound(mara)
    assert older.client.line.all("receive_ice_candidate") == [], "its offer was complete"
    assert older.client.line.ask("end_call", {"to": mara.id})["ok"]
    wait_for_end(mara)


def test_a_fingerprint_that_is_swapped_on_the_way_never_becomes_a_call(couple: tuple[Person, Older]) -> None:
    mara, older = couple

    def swap(sdp: str) -> str:
        other = ":".join(["AB"] * 32)
        swapped, count = re.subn(r"a=fingerprint:sha-256 [0-9A-F:]+", f"a=fingerprint:sha-256 {other}", sdp)
        assert count
        return swapped

    call(mara, older)
    older.answer(mara, swap)
    expect(mara.banner).to_contain_text("The call could not be connected.", timeout=40_000)
    wait_for_end(mara)


def test_an_older_client_calls_and_is_answered_in_clear(couple: tuple[Person, Older]) -> None:
    mara, older = couple
    sdp = older.page.evaluate(OFFER)
    sealed = older.keys.seal(json.dumps({"type": "offer", "sdp": sdp}), older.theirs)
    assert older.client.line.ask("call_user", {"userToCall": mara.id, "signalData": sealed})["delivered"]
    expect(mara.page.locator("#incoming-call .basic")).to_be_visible()
    mara.button("Answer").click()
    answered = older.client.line.wait_for("call_accepted")
    assert answered["type"] == "answer"
    older.page.evaluate("(answer) => globalThis.connection.setRemoteDescription(answer)", answered)
    wait_for_sound(mara)
    assert statistics(mara)["state"] == "connected"
    mara.button("End call").click()
    assert older.client.line.wait_for("call_ended")["from"] == mara.id


OFFER = """async () => {
  const connection = (globalThis.connection = new RTCPeerConnection());
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  for (const track of stream.getTracks()) connection.addTrack(track, stream);
  await connection.setLocalDescription(await connection.createOffer());
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
}"""

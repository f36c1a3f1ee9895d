"""Calls that do not come about, or end otherwise than by a click: a sentence each time, and nothing left running."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import Enter, Person, connect
from tests.calling import (
    MEDIA,
    SLOW_MICROPHONE,
    answer,
    callers,
    permit,
    ring,
    statistics,
    talk,
    wait_for_call,
    wait_for_end,
    wait_for_sound,
)
from tests.people import HOUSE, Server
from tests.wire import Wire, shorten

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
MISSED = "Missed call"


@pytest.fixture
def phones(browser: Browser, site: Server) -> Iterator[Pair]:
    """Two who may call each other."""
    with callers(browser, site.origin) as people:
        yield people


def altered(frame: str, event: str) -> str:
    """The frame with one byte of the sealed signal of this event flipped."""
    if f'["{event}"' not in frame:
        return frame
    start = frame.index("[")
    name, first, *rest = json.loads(frame[start:])
    sealed = first["signal"] if event == "incoming_call" else first
    envelope = json.loads(sealed)
    envelope["content"][7] ^= 1
    flipped = json.dumps(envelope)
    return frame[:start] + json.dumps([name, first | {"signal": flipped} if sealed is not first else flipped, *rest])


def test_a_declined_call_says_so(phones: Pair) -> None:
    mara, jonas = phones
    ring(mara, jonas)
    jonas.button("Decline").click()
    expect(mara.banner).to_contain_text(f"{jonas.username} declined the call.")
    wait_for_end(mara, jonas)


def test_callers_ring_and_look_for_a_way_as_long_as_agreed() -> None:
    text = (HOUSE / "static/js/calls.js").read_text()
    assert re.findall(r"const (RING_MS|CONNECT_MS) = ([\d_]+);", text) == [
        ("RING_MS", "45_000"),
        ("CONNECT_MS", "30_000"),
    ]


def test_a_call_that_nobody_answers_ends_and_is_a_line_in_the_history(phones: Pair) -> None:
    mara, jonas = phones
    shorten(mara, "calls", "RING_MS")
    ring(mara, jonas)
    expect(mara.banner).to_contain_text(f"{jonas.username} did not answer.")
    expect(jonas.page.locator(".message", has_text=MISSED)).to_have_count(1)
    expect(jonas.banner).to_contain_text(f"You missed a call from {mara.username}.")
    wait_for_end(mara, jonas)


def test_a_call_to_somebody_who_is_away_is_a_line_they_find_later(phones: Pair) -> None:
    mara, jonas = phones
    jonas.page.goto("about:blank")
    expect(mara.page.locator(".chat-presence")).to_have_text("offline")
    mara.button(f"Start call with {jonas.username}").click()
    expect(mara.banner).to_contain_text(f"{jonas.username} is offline. They will see that you called.")
    wait_for_end(mara)
    jonas.page.goto(jonas.origin)
    jonas.open_chat(mara)
    expect(jonas.page.locator(".message", has_text=MISSED)).to_have_count(1)


def test_who_is_in_a_call_is_busy_for_others(phones: Pair, enter: Enter) -> None:
    mara, jonas = phones
    third = enter("third", permissions=MEDIA)
    connect(third, jonas)
    jonas.open_chat(mara)
    talk(mara, jonas)
    third.button(f"Start call with {jonas.username}").click()
    expect(third.banner).to_contain_text(f"{jonas.username} is in another call.")
    wait_for_end(third)
    assert statistics(mara)["state"] == "connected"


def test_without_a_microphone_there_is_a_sentence_and_no_call(browser: Browser, site: Server, enter: Enter) -> None:
    mara, jonas = enter("mara", permissions=[]), enter("jonas", permissions=MEDIA)
    connect(mara, jonas)
    mara.button(f"Start call with {jonas.username}").click()
    expect(mara.banner).to_contain_text("microphone")
    wait_for_end(mara, jonas)


def test_a_page_that_is_closed_in_a_call_ends_it_at_the_other_side(phones: Pair) -> None:
    mara, jonas = phones
    talk(mara, jonas)
    jonas.page.goto("about:blank")
    expect(mara.banner).to_contain_text(f"The call with {jonas.username} has ended.")
    wait_for_end(mara)


@pytest.mark.parametrize("bring_up", [talk, ring])
def test_a_page_that_is_loaded_anew_in_a_call_asks_first(
    phones: Pair, bring_up: Callable[[Person, Person], None]
) -> None:
    mara, jonas = phones
    bring_up(mara, jonas)
    asked: list[str] = []
    mara.page.once("dialog", lambda dialog: asked.append(dialog.type) or dialog.accept())
    mara.reload()
    assert asked == ["beforeunload"]
    wait_for_end(mara, jonas)


def test_a_logout_in_a_call_asks_first_and_ends_it_at_the_other_side(phones: Pair) -> None:
    mara, jonas = phones
    talk(mara, jonas)
    question = jonas.page.get_by_role("dialog", name="End the call and log out?")
    jonas.button("Logout from application").click()
    expect(question).to_contain_text(f"You are in a call with {mara.username}.")
    jonas.button("Stay in the call").click()
    expect(question).to_be_hidden()
    wait_for_sound(mara, jonas)
    jonas.button("Logout from application").click()
    jonas.button("End it and log out").click()
    expect(mara.banner).to_contain_text(f"The call with {jonas.username} has ended.")
    wait_for_end(mara)
    expect(jonas.page.get_by_role("heading", name="Chat Login")).to_be_visible()


def test_a_page_that_crashed_in_a_call_may_call_again_into_it(phones: Pair) -> None:
    mara, jonas = phones
    wire = Wire(mara)
    mara.open_chat(jonas)
    talk(mara, jonas)
    wire.loses = lambda frame: '"end_call"' in frame  # a crash says no goodbye, and the server waits for its page
    mara.reload()
    mara.open_chat(jonas)
    mara.button(f"Start call with {jonas.username}").click()
    wait_for_call(mara, jonas)
    jonas.button("End call").click()
    wait_for_end(mara, jonas)


def test_a_page_that_is_loaded_anew_while_it_rings_rings_again(phones: Pair) -> None:
    mara, jonas = phones
    ring(mara, jonas)
    jonas.reload()
    expect(jonas.page.get_by_role("dialog", name=f"Incoming Call from {mara.username}")).to_be_visible()
    answer(jonas)
    wait_for_call(mara, jonas)
    jonas.button("End call").click()
    wait_for_end(mara, jonas)


def test_a_call_that_is_offered_again_disturbs_no_tab_that_rings_or_has_answered(phones: Pair) -> None:
    mara, jonas = phones
    wire = Wire(mara)
    mara.open_chat(jonas)
    tab = jonas.second_tab()
    ring(mara, jonas)
    jonas.page.evaluate(SLOW_MICROPHONE)
    answer(jonas)
    expect(tab.page.locator("#incoming-call")).to_be_visible()
    jonas.record.clear()
    wire.end()  # the caller finds everybody online anew
    jonas.until(
        lambda: sum('["incoming_call"' in frame for frame in jonas.record.frames) == 2, "the offer again, in each tab"
    )
    permit(jonas)
    for one in phones:
        expect(one.page.locator(".call-panel")).to_contain_text("On Call with")
    for one in (jonas, tab):
        expect(one.page.locator("#incoming-call")).to_be_hidden()
    wait_for_sound(mara, jonas)
    jonas.button("End call").click()
    wait_for_end(mara, jonas, tab)


def test_a_call_that_was_declined_while_the_line_was_down_does_not_ring_again(phones: Pair) -> None:
    mara, jonas = phones
    wire = Wire(jonas)
    jonas.open_chat(mara)
    ring(mara, jonas)
    wire.loses = lambda frame: '"end_call"' in frame
    jonas.button("Decline").click()
    wire.end()
    expect(mara.banner).to_contain_text(f"{jonas.username} declined the call.")
    wait_for_end(mara, jonas)


def test_the_end_of_a_call_does_not_end_the_next_one(phones: Pair) -> None:
    mara, jonas = phones
    wire = Wire(mara)
    mara.open_chat(jonas)
    talk(mara, jonas)
    wire.hold()
    jonas.button("End call").click()  # which the other side does not hear in time
    mara.button("End call").click()
    ring(mara, jonas)
    wire.release()
    answer(jonas)
    wait_for_call(mara, jonas)
    jonas.button("End call").click()
    wait_for_end(mara, jonas)


def test_a_call_goes_on_being_asked_for_while_somebody_types(phones: Pair) -> None:
    mara, jonas = phones
    jonas.input.press_sequentially("I am writ")
    ring(mara, jonas)
    jonas.page.keyboard.type("ing some words")
    jonas.page.keyboard.press("Enter")
    expect(jonas.page.locator("#incoming-call")).to_be_visible()
    jonas.button("Decline").click()
    expect(mara.banner).to_contain_text(f"{jonas.username} declined the call.")
    wait_for_end(mara, jonas)


def seal_in_page(person: Person, other: Person, signal: str) -> str:
    """A signal of somebody's own making, sealed by their page as any other."""
    sealed: str = person.page.evaluate(SEAL, {"contactId": other.id, "signal": signal})
    return sealed


SEAL = """async ({ contactId, signal }) => {
  const { sealSignal } = await import("/static/js/signals.js");
  return sealSignal(contactId, JSON.parse(signal));
}"""


def hostile_offer(mara: Person, jonas: Person, sdp: str) -> None:
    """Let mara's page call with a description of her making."""
    offer = {"kind": "offer", "callId": "c1", "at": int(time.time() * 1000), "from": mara.id, "sdp": sdp}
    signal = seal_in_page(mara, jonas, json.dumps(offer))
    call = {"userToCall": jonas.id, "signalData": signal, "callId": "c1"}
    mara.page.evaluate("(call) => import('/static/js/wire.js').then(({ request }) => request('call_user', call))", call)
    expect(jonas.page.locator("#incoming-call")).to_be_visible()


def test_a_description_that_cannot_be_read_ends_the_call_and_closes_the_microphone(phones: Pair) -> None:
    mara, jonas = phones
    hostile_offer(mara, jonas, "garbage")
    answer(jonas)
    expect(jonas.banner).to_contain_text("The call could not be connected.")
    wait_for_end(jonas)


def test_a_call_that_finds_no_way_says_so_and_ends(phones: Pair) -> None:
    mara, jonas = phones
    shorten(jonas, "calls", "CONNECT_MS")
    offered = mara.page.evaluate(OFFER)
    hostile_offer(mara, jonas, offered)
    answer(jonas)
    expect(jonas.page.locator(".call-panel")).to_contain_text("Connecting to")
    expect(jonas.banner).to_contain_text("The call could not be connected.")
    wait_for_end(jonas)


# A good description, of a connection that nobody answers for.
OFFER = """async () => {
  const connection = new RTCPeerConnection();
  connection.addTransceiver("audio");
  return (await connection.createOffer()).sdp;
}"""


def test_an_offer_that_was_altered_on_the_way_does_not_ring(phones: Pair) -> None:
    mara, jonas = phones
    wire = Wire(jonas)
    jonas.open_chat(mara)
    wire.alters = lambda frame: altered(frame, "incoming_call")
    mara.button(f"Start call with {jonas.username}").click()
    expect(jonas.banner).to_contain_text(f"A call from {mara.username} was refused: its set-up was altered on the way")
    expect(jonas.page.locator("#incoming-call")).to_be_hidden()
    mara.button("End call").click()
    wait_for_end(mara, jonas)


@pytest.mark.parametrize("event", ["call_accepted", "receive_ice_candidate"])
def test_a_call_whose_set_up_is_altered_on_the_way_ends_with_a_warning(phones: Pair, event: str) -> None:
    mara, jonas = phones
    wire = Wire(mara)
    mara.open_chat(jonas)
    wire.alters = lambda frame: altered(frame, event)
    ring(mara, jonas)
    answer(jonas)
    expect(mara.banner).to_contain_text(f"The call with {jonas.username} was ended: its set-up was altered on the way.")
    wait_for_end(mara, jonas)

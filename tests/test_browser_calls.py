"""Calls between two browsers: sound and picture really flow, and what the server carried says nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.attachments import arrived, choose, named
from tests.browser import Person
from tests.calling import (
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
from tests.people import Server

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
CLEAR = re.compile(r"a=fingerprint|candidate:|a=ice-ufrag|UDP/TLS|\bIP4\b|\d+\.\d+\.\d+\.\d+")


@pytest.fixture(scope="module")
def phones(browser: Browser, site: Server) -> Iterator[Pair]:
    """Two who may call each other."""
    with callers(browser, site.origin) as people:
        yield people


@pytest.fixture
def idle(phones: Pair) -> Iterator[Pair]:
    """The two without a call, before and after."""
    for one in phones:
        one.record.clear()
    yield phones
    for one in phones:
        one.page.evaluate("document.querySelector('#end-call').click()")  # nothing happens without a call
    wait_for_end(*phones)


def test_sound_flows_both_ways_and_either_side_may_end_it(idle: Pair) -> None:
    for caller, callee in (idle, idle[::-1]):
        talk(caller, callee)
        expect(caller.page.locator(".call-timer")).to_have_text(re.compile(r"^0:(0[1-9]|[1-5]\d)$"))
        expect(caller.page.locator(".call-quality")).to_contain_text("Connection good")
        callee.button("End call").click()
        expect(caller.banner).to_contain_text(f"The call with {callee.username} has ended.")
        wait_for_end(caller, callee)


def test_the_caller_may_end_it_while_it_rings_and_the_other_has_missed_it(idle: Pair) -> None:
    mara, jonas = idle
    ring(mara, jonas)
    mara.button("End call").click()
    expect(jonas.banner).to_contain_text(f"You missed a call from {mara.username}.")
    expect(jonas.message("Missed call")).to_have_count(1)
    expect(mara.message("No answer")).to_have_count(1)
    wait_for_end(mara, jonas)


def test_two_quick_presses_are_one_call(idle: Pair) -> None:
    mara, jonas = idle
    mara.page.evaluate("for (const _ of [1, 2]) document.querySelector('#start-call').click()")
    answer(jonas)
    wait_for_sound(mara, jonas)
    assert sum('["call_user"' in frame for frame in mara.record.frames) == 1


def test_a_call_that_begins_while_the_other_is_asked_for_the_microphone_is_one_call(idle: Pair) -> None:
    mara, jonas = idle
    jonas.page.evaluate(SLOW_MICROPHONE)
    jonas.page.evaluate("document.querySelector('#start-call').click()")
    ring(mara, jonas)
    permit(jonas)
    expect(jonas.page.locator("#incoming-call")).to_be_hidden()
    wait_for_call(mara, jonas)


def test_a_call_that_is_answered_while_the_browser_asks_for_another_one_is_taken(idle: Pair) -> None:
    mara, jonas = idle
    jonas.page.evaluate(SLOW_MICROPHONE)
    jonas.page.evaluate("document.querySelector('#start-call').click()")
    ring(mara, jonas)
    answer(jonas)
    expect(jonas.page.locator("#incoming-call")).to_be_hidden()
    permit(jonas)
    wait_for_call(mara, jonas)


def test_a_caller_who_gives_up_while_the_other_is_asked_for_the_microphone_leaves_no_call(idle: Pair) -> None:
    mara, jonas = idle
    ring(mara, jonas)
    jonas.page.evaluate(SLOW_MICROPHONE)
    answer(jonas)
    mara.button("End call").click()
    expect(jonas.banner).to_contain_text(f"You missed a call from {mara.username}.")
    assert permit(jonas) == 1
    jonas.until(lambda: jonas.page.evaluate("opened.getTracks()[0].readyState") == "ended", "a closed microphone")
    wait_for_end(mara, jonas)


def energy_of(listener: Person, packets: int) -> float:
    """The energy of the next packets of audio (50 a second) that a listener gets; the microphone beeps every second."""
    before = statistics(listener)
    listener.until(lambda: statistics(listener)["audioIn"] > before["audioIn"] + packets, f"{packets} packets")
    return float(statistics(listener)["energyIn"] - before["energyIn"])


def test_a_muted_microphone_sends_silence(idle: Pair) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    jonas.until(lambda: statistics(jonas)["energyIn"] > 0, "sound that can be heard")
    mara.button("Mute").click()
    expect(mara.button("Unmute")).to_be_visible()
    energy_of(jonas, 50)  # what was on its way is through
    silent = energy_of(jonas, 100)
    mara.button("Unmute").click()
    assert silent < energy_of(jonas, 100) / 10


def test_a_camera_is_switched_on_and_off_in_the_call(idle: Pair) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    picture = jonas.page.locator(".their-video")
    expect(picture).to_be_hidden()
    mara.button("Camera").click()
    expect(picture).to_be_visible()
    jonas.until(lambda: statistics(jonas)["videoIn"] > 0, "pictures")
    jonas.until(lambda: jonas.page.evaluate("document.querySelector('.their-video').videoWidth") > 0, "a picture shown")
    mara.button("Camera").click()
    expect(picture).to_be_hidden()


def test_what_the_server_carried_holds_no_description_no_address_and_no_candidate(idle: Pair) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    jonas.button("End call").click()
    wait_for_end(mara, jonas)
    for one in idle:
        carried = [frame for frame in one.record.frames if "call" in frame or "candidate" in frame]
        assert any('"call_user"' in frame or '"incoming_call"' in frame for frame in carried)
        assert any("ice_candidate" in frame for frame in carried)
        for frame in carried:
            assert not CLEAR.search(frame), frame
        for frame in one.record.frames:
            if '"incoming_call"' in frame:
                assert json.loads(json.loads(frame[frame.index("[") :])[1]["signal"]).keys() == {"iv", "content"}


def test_both_who_call_at_once_are_in_one_call_without_ringing(idle: Pair) -> None:
    mara, jonas = idle
    for one in idle:
        one.page.evaluate("document.querySelector('#start-call').click()")
    for one in idle:
        expect(one.page.locator(".call-panel")).to_contain_text("On Call with")
        expect(one.page.locator("#incoming-call")).to_be_hidden()
    wait_for_sound(mara, jonas)


def test_a_camera_that_opens_when_the_call_is_over_is_closed(idle: Pair) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    mara.page.evaluate(SLOW_MICROPHONE)
    mara.button("Camera").click()
    jonas.button("End call").click()
    wait_for_end(mara, jonas)
    permit(mara)
    mara.until(lambda: mara.page.evaluate("opened.getTracks()[0].readyState") == "ended", "a closed camera")


def test_another_network_is_found_without_losing_the_call(idle: Pair) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    before = [one.page.evaluate(UFRAG) for one in idle]
    # What a browser does when its network is another one: the way it had is dead, and it looks for a new one.
    mara.page.evaluate(FAIL)
    mara.until(lambda: [one.page.evaluate(UFRAG) for one in idle] != before, "new ways to be offered")
    mara.until(lambda: statistics(mara)["state"] == "connected", "the connection to be back")
    wait_for_sound(mara, jonas)


UFRAG = """async () => {
  const { currentCall } = await import("/static/js/calls.js");
  return /a=ice-ufrag:(\\S+)/.exec(currentCall().peer.connection.localDescription.sdp)[1];
}"""
FAIL = """async () => {
  const { currentCall } = await import("/static/js/calls.js");
  const { peer } = currentCall();
  Object.defineProperty(peer.connection, "connectionState", { value: "failed", configurable: true });
  peer.events.onState("failed");
  setTimeout(() => delete peer.connection.connectionState, 1000);
}"""


def test_a_call_that_is_answered_in_one_tab_is_silent_in_the_others(idle: Pair) -> None:
    mara, jonas = idle
    tab = jonas.second_tab()
    ring(mara, jonas)
    expect(tab.page.locator("#incoming-call")).to_be_visible()
    answer(tab)
    expect(jonas.page.locator("#incoming-call")).to_be_hidden()
    wait_for_sound(mara, tab)
    assert statistics(jonas) == {}
    mara.button("End call").click()
    wait_for_end(mara, tab)
    tab.page.close()


@pytest.mark.parametrize("ends", [0, 1], ids=["caller ends", "callee ends"])
def test_the_keyboard_goes_on_where_a_call_could_be_made_when_it_is_over(idle: Pair, ends: int) -> None:
    mara, jonas = idle
    talk(mara, jonas)
    for one in idle:
        one.button("End call").focus()
    idle[ends].page.keyboard.press("Enter")
    wait_for_end(*idle)
    for one, other in (idle, idle[::-1]):
        expect(one.button(f"Start call with {other.username}")).to_be_focused()


def test_the_keyboard_goes_on_when_a_call_is_declined_that_came_while_nothing_had_it(idle: Pair) -> None:
    mara, jonas = idle
    jonas.page.evaluate("document.activeElement.blur()")
    ring(mara, jonas)
    jonas.button("Decline").press("Enter")
    expect(jonas.button(f"Start call with {mara.username}")).to_be_focused()
    wait_for_end(mara, jonas)


def test_files_that_were_chosen_before_a_call_are_there_again_after_it(idle: Pair) -> None:
    mara, jonas = idle
    dialog = choose(jonas, named("plan.bin", b"the plan"))
    dialog.get_by_label("Caption").fill("as we said")
    talk(mara, jonas)
    expect(dialog).to_be_hidden()
    jonas.page.evaluate("document.querySelector('.back').click()")
    jonas.button("End call").click()
    expect(dialog).to_contain_text("plan.bin")
    expect(dialog.get_by_label("Caption")).to_have_value("as we said")
    expect(jonas.page.locator(".chat-name")).to_have_text(mara.username)
    dialog.get_by_role("button", name="Send files").click()
    expect(dialog).to_be_hidden()
    arrived(mara, "plan.bin")
    talk(mara, jonas)
    mara.button("End call").click()
    wait_for_end(mara, jonas)
    expect(dialog).to_be_hidden()


def test_a_passphrase_that_was_typed_before_a_call_is_there_again_until_the_settings_are_closed(idle: Pair) -> None:
    mara, jonas = idle
    jonas.button("Export Keys").click()
    settings, passphrase = jonas.page.locator("#settings"), jonas.page.locator("#export-passphrase")
    passphrase.fill("half a passphrase")
    talk(mara, jonas)
    expect(settings).to_be_hidden()
    jonas.button("End call").click()
    expect(passphrase).to_be_focused()
    expect(passphrase).to_have_value("half a passphrase")
    talk(mara, jonas)
    jonas.button("Export Keys").click()
    expect(passphrase).to_have_value("half a passphrase")
    jonas.button("Close settings").click()
    jonas.button("End call").click()
    wait_for_end(mara, jonas)
    expect(settings).to_be_hidden()
    expect(passphrase).to_have_value("")

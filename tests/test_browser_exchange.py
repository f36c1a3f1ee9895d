"""Key exchange: every transition of the contact states, between two people with a browser each."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import Enter, Person, talk
from tests.wire import Wire

pytest_plugins = ["tests.doorway"]

# Counts how often the modal opens from now on.
NOTE_MODALS = """() => {
  globalThis.modalsShown = 0;
  const modal = document.querySelector("#key-exchange");
  new MutationObserver(() => { globalThis.modalsShown += modal.open ? 1 : 0; }).observe(modal, { attributes: true });
}"""


@pytest.fixture
def mara(enter: Enter) -> Person:
    """The one who asks."""
    return enter("mara")


@pytest.fixture
def jonas(enter: Enter) -> Person:
    """The one who is asked."""
    return enter("jonas")


def test_somebody_added_is_locked_until_keys_are_exchanged(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    assert mara.state_with(jonas) == "added"
    expect(mara.row(jonas).locator(".lock")).to_have_text("🔒")
    expect(mara.row(jonas)).to_have_accessible_name(f"Chat with {jonas.username} (offline) - keys not exchanged")
    expect(mara.page.get_by_text("🔒 Exchange encryption keys to start messaging")).to_be_visible()
    expect(mara.input).to_be_disabled()
    expect(mara.page.locator("[aria-label='Send message']")).to_be_disabled()


def test_an_ask_is_pending_until_it_is_answered(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(mara.banner).to_have_text(f"Key exchange request sent to {jonas.username}")
    expect(mara.page.locator("#cancel-exchange")).to_contain_text("Request sent")
    assert mara.state_with(jonas) == "pending"
    expect(jonas.modal).to_contain_text(mara.username)


def test_accepting_connects_both_sides(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    jonas.accept()
    for one, other in ((mara, jonas), (jonas, mara)):
        expect(one.banner).to_have_text(f"Key exchange with {other.username} completed!")
        one.wait_for_state(other, "connected")
        expect(one.row(other)).to_have_accessible_name(f"Chat with {other.username} (online)")
        expect(one.row(other).locator(".lock")).to_be_hidden()
    assert mara.keys_with(jonas)["theirPublicKey"] == jonas.keys_with(mara)["myPublicKey"]
    assert jonas.keys_with(mara)["theirPublicKey"] == mara.keys_with(jonas)["myPublicKey"]
    talk(mara, jonas)


def test_declining_brings_the_asker_back_and_says_who_declined(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    jonas.button("Reject key exchange request").click()
    expect(mara.banner).to_contain_text(f"{jonas.username} declined key exchange")
    mara.wait_for_state(jonas, "rejected")
    expect(mara.button("Exchange Keys")).to_be_visible()
    expect(mara.input).to_be_disabled()
    expect(jonas.modal).to_be_hidden()
    assert jonas.state_with(mara) == ""


def test_who_declined_can_be_asked_again_and_sees_a_new_modal(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    jonas.button("Reject key exchange request").click()
    mara.wait_for_state(jonas, "rejected")
    mara.ask()
    jonas.accept()
    mara.wait_for_state(jonas, "connected")
    talk(mara, jonas)


def test_a_target_who_is_away_is_asked_by_itself_when_they_come_back(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    jonas.page.goto("about:blank")
    mara.ask()
    expect(mara.banner).to_contain_text("They are offline and will be asked when they are back.")
    assert mara.state_with(jonas) == "pending"
    jonas.page.goto(jonas.origin)
    jonas.accept()
    mara.wait_for_state(jonas, "connected")


def test_a_target_who_is_away_is_asked_by_an_asker_who_went_and_came_back_too(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    jonas.page.goto("about:blank")
    mara.ask()
    expect(mara.banner).to_contain_text("They are offline")
    mara.page.goto("about:blank")
    jonas.page.goto(jonas.origin)
    mara.page.goto(mara.origin)
    jonas.accept()
    mara.wait_for_state(jonas, "connected")


def test_two_who_ask_each_other_at_once_are_connected_without_a_modal(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    jonas.add(mara)
    wires = [Wire(mara), Wire(jonas)]
    for one, other in ((mara, jonas), (jonas, mara)):
        one.open_chat(other)
        one.page.evaluate(NOTE_MODALS)
    for wire in wires:
        wire.hold()  # neither hears of the other's ask before having asked
    for one, other in ((mara, jonas), (jonas, mara)):
        one.ask()
        one.wait_for_state(other, "pending")
    for wire in wires:
        wire.release()
    for one, other in ((mara, jonas), (jonas, mara)):
        one.wait_for_state(other, "connected")
    for one in (mara, jonas):
        assert one.page.evaluate("globalThis.modalsShown") == 0
    talk(mara, jonas)


def test_one_ask_is_one_request(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    jonas.button("Reject key exchange request").click()
    mara.wait_for_state(jonas, "rejected")
    assert len([frame for frame in mara.record.frames if '"request_key_exchange"' in frame]) == 1


def test_asking_twice_shows_one_modal(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    offered = mara.keys_with(jonas)["pending"]["myPublicKey"]
    mara.reload()
    mara.reload()
    jonas.accept()
    for one, other in ((mara, jonas), (jonas, mara)):
        one.wait_for_state(other, "connected")
    expect(jonas.modal).to_be_hidden()
    assert jonas.keys_with(mara)["theirPublicKey"] == offered


def test_an_ask_that_is_taken_back_closes_the_modal(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    mara.page.locator("#cancel-exchange").click()
    expect(jonas.modal).to_be_hidden()
    assert mara.state_with(jonas) == "added"
    expect(mara.button("Exchange Keys")).to_be_visible()


def test_the_answer_finds_an_asker_who_has_reloaded(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    mara.reload()
    jonas.accept()
    mara.wait_for_state(jonas, "connected")
    talk(mara, jonas)


def test_the_answer_waits_for_an_asker_who_has_gone_and_no_second_modal_comes(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    mara.page.goto("about:blank")
    jonas.accept()
    jonas.wait_for_state(mara, "connected")
    jonas.page.evaluate(NOTE_MODALS)
    mara.page.goto(mara.origin)
    mara.wait_for_state(jonas, "connected")
    talk(mara, jonas)
    assert jonas.page.evaluate("globalThis.modalsShown") == 0


def test_both_tabs_of_the_asker_become_connected(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    tab = mara.second_tab()
    tab.open_chat(jonas)
    mara.ask()
    jonas.accept()
    for one in (mara, tab):
        expect(one.row(jonas)).to_have_accessible_name(f"Chat with {jonas.username} (online)")
        expect(one.input).to_be_enabled()
    tab.write("from the second tab")
    jonas.open_chat(mara)
    expect(jonas.message("from the second tab")).to_have_count(1)


@pytest.mark.parametrize("answer", ["Accept key exchange request", "Reject key exchange request"])
def test_answering_in_one_tab_closes_the_modal_in_the_other(mara: Person, jonas: Person, answer: str) -> None:
    tab = jonas.second_tab()
    mara.add(jonas)
    mara.ask()
    expect(tab.modal).to_be_visible()
    jonas.button(answer).click()
    expect(tab.modal).to_be_hidden()
    mara.wait_for_state(jonas, "connected" if answer.startswith("Accept") else "rejected")


def test_a_stranger_is_named_with_their_id_and_accepting_adds_them(mara: Person, jonas: Person) -> None:
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_contain_text(f"{mara.username} ({mara.id}) wants to exchange encryption keys with you.")
    expect(jonas.modal.locator(".stranger")).to_be_visible()
    assert jonas.state_with(mara) == ""
    jonas.accept()
    jonas.wait_for_state(mara, "connected")
    expect(jonas.row(mara)).to_be_visible()


def test_a_contact_who_asks_is_no_stranger(mara: Person, jonas: Person) -> None:
    jonas.add(mara)
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    expect(jonas.modal.locator(".stranger")).to_be_hidden()


def test_escape_postpones_and_exchange_keys_answers(mara: Person, jonas: Person) -> None:
    jonas.add(mara)
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    jonas.page.keyboard.press("Escape")
    expect(jonas.modal).to_be_hidden()
    jonas.ask()
    mara.wait_for_state(jonas, "connected")
    jonas.wait_for_state(mara, "connected")
    expect(jonas.modal).to_be_hidden()


def test_requests_of_two_people_are_answered_one_after_the_other(mara: Person, jonas: Person, enter: Enter) -> None:
    ines = enter("ines")
    for one in (mara, ines):
        one.add(jonas)
        one.ask()
        expect(one.banner).to_contain_text("Key exchange request sent")
    expect(jonas.modal).to_contain_text(mara.username)
    jonas.accept()
    expect(jonas.modal).to_contain_text(ines.username)
    jonas.button("Reject key exchange request").click()
    expect(jonas.modal).to_be_hidden()
    mara.wait_for_state(jonas, "connected")
    ines.wait_for_state(jonas, "rejected")

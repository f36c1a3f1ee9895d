"""The set-up of calls: signals pass between the two people of an open call, and from nobody else."""

from __future__ import annotations

import itertools

import pytest

from chat.calls import GRACE_S, UNANSWERED_S, Calls, Change, Ledger
from chat.errors import Refusal
from tests.conftest import Join
from tests.people import Person

OFFER = {"type": "offer", "sdp": "v=0"}


@pytest.fixture
def contacts(mara: Person, jonas: Person) -> tuple[Person, Person]:
    """Two who exchanged keys."""
    mara.befriend(jonas)
    return mara, jonas


def test_a_call_goes_through_from_ring_to_end(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    asked = mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": OFFER, "callId": "c1"})
    assert asked == {"ok": True, "delivered": True}
    assert jonas.line.wait_for("incoming_call") == {"from": mara.id, "signal": OFFER, "callId": "c1"}
    assert jonas.line.ask("answer_call", {"to": mara.id, "signal": {"sdp": "a"}, "callId": "c1"})["ok"]
    assert mara.line.wait_for("call_accepted") == {"sdp": "a"}
    assert ("call_accepted", [{"sdp": "a"}, {"from": jonas.id, "callId": "c1"}]) in mara.line.events
    for sender, receiver in ((mara, jonas), (jonas, mara)):
        assert sender.line.ask("ice_candidate", {"target": receiver.id, "candidate": "c", "callId": "c1"})["ok"]
        receiver.line.wait_for("receive_ice_candidate")
        assert ("receive_ice_candidate", ["c", {"from": sender.id, "callId": "c1"}]) in receiver.line.events
    assert jonas.line.ask("end_call", {"to": mara.id, "reason": "hung up"})["ok"]
    assert mara.line.wait_for("call_ended") == {"from": jonas.id, "reason": "hung up", "callId": None}
    assert mara.line.refused("ice_candidate", {"target": jonas.id, "candidate": None}) == "not_asked"


def test_an_answer_may_come_in_pieces(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": "sealed"})
    for piece in ("answer", "candidate 1", "candidate 2"):
        assert jonas.line.ask("answer_call", {"to": mara.id, "signal": piece})["ok"]
    mara.line.wait_for("call_accepted", count=3)
    assert mara.line.all("call_accepted") == ["answer", "candidate 1", "candidate 2"]


def test_calling_who_is_away_says_so_and_opens_nothing(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    jonas.leave()
    mara.line.wait_for("update_user_status", lambda news: not news["isOnline"])
    assert mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": OFFER}) == {"ok": True, "delivered": False}
    jonas.connect()
    assert jonas.line.refused("answer_call", {"to": mara.id, "signal": "a"}) == "not_asked"


def test_a_third_person_can_neither_answer_nor_signal_nor_end(contacts: tuple[Person, Person], join: Join) -> None:
    mara, jonas = contacts
    third = join()
    third.befriend(mara)
    third.befriend(jonas)
    mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": OFFER})
    for event, payload in (
        ("answer_call", {"to": mara.id, "signal": "a"}),
        ("ice_candidate", {"target": jonas.id, "candidate": "c"}),
        ("end_call", {"to": mara.id}),
    ):
        assert third.line.refused(event, payload) == "not_asked"
    assert jonas.line.ask("answer_call", {"to": mara.id, "signal": "a"})["ok"], "the call is still open"


def test_the_tab_that_answers_holds_the_call(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    elsewhere = jonas.connect()
    mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": OFFER})
    elsewhere.wait_for("incoming_call")
    assert jonas.line.ask("answer_call", {"to": mara.id, "signal": "a"})["ok"]
    assert elsewhere.wait_for("call_handled") == {"userId": mara.id}
    assert elsewhere.refused("answer_call", {"to": mara.id, "signal": "b"}) == "not_asked"
    assert elsewhere.refused("end_call", {"to": mara.id}) == "not_asked"
    mara.line.settle()
    assert mara.line.all("call_accepted") == ["a"]
    assert mara.line.all("call_ended") == []


def test_an_end_that_crosses_a_new_call_ends_only_the_call_it_names(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    for name in ("c1", "c2"):
        mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": OFFER, "callId": name})
        if name == "c1":
            assert mara.line.ask("end_call", {"to": jonas.id, "callId": name})["ok"]
    assert jonas.line.refused("end_call", {"to": mara.id, "callId": "c1"}) == "not_asked"
    assert mara.line.all("call_ended") == []
    assert jonas.line.ask("end_call", {"to": mara.id, "callId": "c2"})["ok"]
    assert mara.line.wait_for("call_ended")["callId"] == "c2"


def test_who_called_each_other_at_once_may_end_it_by_either_name(contacts: tuple[Person, Person]) -> None:
    mara, jonas = contacts
    for name in ("c1", "c2"):
        for caller, callee in ((mara, jonas), (jonas, mara)):
            offer = {"userToCall": callee.id, "signalData": OFFER, "callId": f"{name} of {caller.username}"}
            assert caller.line.ask("call_user", offer)["ok"]
        assert jonas.line.ask("end_call", {"to": mara.id, "callId": f"{name} of {mara.username}"})["ok"]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_call_nobody_answers_is_forgotten() -> None:
    clock = Clock()
    calls = Calls(clock)
    calls.open("mara", "jonas", "m1")
    clock.now = UNANSWERED_S + 1
    with pytest.raises(Refusal, match="no longer open"):
        calls.signal("jonas", "mara", "j1")


def test_a_line_that_drops_may_come_back_for_its_call() -> None:
    clock = Clock()
    calls = Calls(clock)
    calls.open("mara", "jonas", "m1")
    calls.signal("jonas", "mara", "j1")
    assert calls.socket_closed("m1") == [("mara", "jonas")]
    calls.signal("mara", "jonas", "m2")
    clock.now = GRACE_S + 1
    assert not calls.give_up("mara", "jonas")
    calls.signal("jonas", "mara", "j1")


def test_a_line_that_stays_away_loses_its_call() -> None:
    clock = Clock()
    calls = Calls(clock)
    calls.open("mara", "jonas", "m1")
    calls.signal("jonas", "mara", "j1")
    calls.socket_closed("m1")
    for seconds, ended in itertools.zip_longest((GRACE_S - 1, GRACE_S), (False, True)):
        clock.now = seconds
        assert calls.give_up("mara", "jonas") is ended


class Wavering(Ledger):
    """A ledger that cannot be reached at times."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    def change(self, pair: str, change: Change) -> bool:
        """As `Ledger.change`, or nothing at all."""
        return not self.is_away and super().change(pair, change)


def test_a_line_that_ends_while_the_ledger_is_away_loses_its_call_when_it_is_back() -> None:
    ledger = Wavering()
    calls = Calls(Clock(), ledger)
    calls.open("mara", "jonas", "m1")
    calls.signal("jonas", "mara", "j1")
    ledger.is_away = True
    assert calls.socket_closed("m1") == []
    ledger.is_away = False
    assert calls.say_again() == [("mara", "jonas")]
    assert calls.say_again() == []
    calls.open("mara", "jonas", "m2")

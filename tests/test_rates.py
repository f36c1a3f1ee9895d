"""How fast one account may be, over all its tabs; the limits of logins and searches are in their own rooms."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from tests.conftest import Serve
from tests.line import ConnectRefused
from tests.people import Person
from tests.waiting import wait_until


def test_one_account_cannot_take_all_lines(serve: Serve) -> None:
    server = serve(SOCKETS_PER_PERSON="3")
    mara, other = Person(server), Person(server)
    tabs = [mara.connect() for _ in range(3)]
    with pytest.raises(ConnectRefused, match="too many tabs"):
        mara.connect()
    assert other.line.ask("user_connected", other.id)["ok"]
    tabs[0].close()
    wait_until(lambda: comes(mara), "room for another")


def comes(person: Person) -> bool:
    """Whether another socket of theirs is let in."""
    with contextlib.suppress(ConnectRefused):
        person.connect()
        return True
    return False


def test_who_is_too_fast_is_told_to_wait_and_nobody_else_is(serve: Serve) -> None:
    server = serve(EVENTS_PER_SECOND="3", SIGNALS_PER_SECOND="9")
    quick, other = Person(server), Person(server)
    quick.befriend(other)
    tabs = [quick.connect(), quick.connect()]

    def burst(event: str, payload: dict[str, Any]) -> tuple[int, float]:
        began = time.monotonic()
        numbers = [(tab, tab.emit(event, payload)) for _ in range(20) for tab in tabs]
        answers = [tab.answer(number) for tab, number in numbers]
        errors = [answer["error"] for answer in answers if not answer["ok"]]
        limited = [error for error in errors if error["code"] == "rate_limited"]
        assert {error["retryAfter"] for error in limited} == {1}
        return len(answers) - len(limited), time.monotonic() - began

    taken, seconds = burst("typing", {"receiverId": other.id, "isTyping": True})
    assert 3 <= taken <= 3 * (seconds + 1), "over all tabs of one account"
    assert tabs[0].ask("user_connected", quick.id)["ok"], "each kind of event has its own budget"
    assert other.line.ask("typing", {"receiverId": quick.id, "isTyping": True})["ok"], "and so has everybody"
    taken, seconds = burst("ice_candidate", {"target": other.id, "candidate": None})
    assert 9 <= taken <= 9 * (seconds + 1), "signals may come in bursts"

"""Rates in memory: as the library's moving window has it, at a fraction of its cost."""

from __future__ import annotations

import random

import limits.storage.memory
import pytest
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from chat.windows import FEW_KEYS, MovingWindows


class Clock:
    """A clock that stands still until it is moved; its `time` is what the library asks."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_lets_in_what_the_library_lets_in(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.storage.memory, "time", clock)
    library = MovingWindowRateLimiter(MemoryStorage())
    limit, dice = 5, random.Random(7)
    windows, item = MovingWindows(limit, clock.time), RateLimitItemPerSecond(limit)
    seen = set()
    for _ in range(5000):
        clock.now += dice.choice((0.0, 0.015625, 0.125, 0.25, 1.0))  # exact in binary: both compare the same numbers
        who = dice.choice(("mara", "jonas"))
        let_in = windows.hit("typing", who)
        assert let_in == library.hit(item, "typing", who)
        seen.add(let_in)
    assert seen == {True, False}


def test_what_is_refused_does_not_count(clock: Clock) -> None:
    windows = MovingWindows(2, clock.time)
    assert [windows.hit("mara") for _ in range(4)] == [True, True, False, False]
    clock.now += 1.1
    assert [windows.hit("mara") for _ in range(3)] == [True, True, False]


def test_keys_out_of_use_are_forgotten(clock: Clock) -> None:
    windows = MovingWindows(2, clock.time)
    for number in range(20 * FEW_KEYS):
        windows.hit(number)
        clock.now += 0.01
    assert len(windows) <= FEW_KEYS

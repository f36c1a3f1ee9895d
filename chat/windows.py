"""Rates in this process' memory: at most so many hits in any one second, for any number of keys."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from threading import Lock

WINDOW_S = 1.0
# Below this many keys, nobody looks for those that are out of use.
FEW_KEYS = 1000


class MovingWindows:
    """At most `limit` hits of a key within WINDOW_S, wherever that begins; refused hits do not count."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._hits: dict[Hashable, deque[float]] = {}
        self._sweep_at = FEW_KEYS
        self._lock = Lock()

    def hit(self, *key: Hashable) -> bool:
        """Count one hit of `key`; False when that would be one too many."""
        moment = self._clock()
        with self._lock:
            hits = self._hits.get(key)
            if hits is None:
                self._make_room(moment)
                hits = self._hits[key] = deque()
            while hits and hits[0] < moment - WINDOW_S:
                hits.popleft()
            if len(hits) >= self._limit:
                return False
            hits.append(moment)
            return True

    def _make_room(self, moment: float) -> None:
        if len(self._hits) >= self._sweep_at:
            self._hits = {key: hits for key, hits in self._hits.items() if hits and hits[-1] >= moment - WINDOW_S}
            self._sweep_at = max(FEW_KEYS, 2 * len(self._hits))

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._hits)

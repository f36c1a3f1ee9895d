"""Socket.IO's way between workers."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry
from socketio import RedisManager

from chat.shared import TIMEOUT_S

# After a failure Redis is left alone for a moment: a thousand events would each wait for it in vain.
PAUSE_S = 1.0
CHANNEL = "sotto:events"

log = logging.getLogger("sotto.bus")


class Bus(RedisManager):  # type: ignore[misc]
    """Socket.IO's way between workers, which notes when something may have got lost on it."""

    def __init__(self, url: str) -> None:
        # No read time-out: the listener waits for the next event however long that takes.
        options = {"socket_connect_timeout": TIMEOUT_S, "socket_keepalive": True, "retry": Retry(NoBackoff(), 0)}
        super().__init__(url, channel=CHANNEL, logger=log, redis_options=options)
        self._lines = 0
        self._down_until = 0.0
        self._lost = False

    def _redis_connect(self) -> None:
        super()._redis_connect()
        self._lines += 1
        self._lost = self._lost or self._lines > 1

    def _publish(self, data: dict[str, Any]) -> int | None:
        if time.monotonic() < self._down_until:
            self._lost = True
            return None
        heard: int | None = super()._publish(data)
        if heard is None:
            self._lost = True
            self._down_until = time.monotonic() + PAUSE_S
        return heard

    def take_loss(self) -> bool:
        """Whether events between workers may have got lost since the last call."""
        lost, self._lost = self._lost, False
        return lost

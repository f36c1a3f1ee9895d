"""What several workers share: one Redis. Whatever is in it may be lost at any moment without losing a message.

Every name begins with `sotto:`. Without REDIS_URL there is one worker, and each part keeps its own in memory.
"""

from __future__ import annotations

import uuid
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

__all__ = ["RedisError", "Shared", "Workers", "connect", "storage_options"]

# An event waits for Redis at most this long; then it is handled as if this worker were alone.
TIMEOUT_S = 2.0
Shared = redis.Redis


def connect(url: str) -> Shared:
    """A client of the Redis at `url`; it connects when it is first used, and fails fast."""
    client: Shared = redis.Redis.from_url(url, decode_responses=True, **_fast_failing())
    return client


def storage_options(url: str) -> dict[str, Any]:
    """What the rate limits' storage at `url` is to be told, so that it fails fast, too; none for memory."""
    return _fast_failing() if url else {}


def _fast_failing() -> dict[str, Any]:
    return {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}


class Workers:
    """The workers that live, by their heartbeats (Redis' own clock, in seconds)."""

    KEY = "sotto:workers"

    def __init__(self, shared: Shared, life_s: float) -> None:
        self.id = uuid.uuid4().hex
        self._shared = shared
        self._life_s = life_s

    def beat(self) -> bool:
        """Say that this worker lives; True when Redis did not know it (any more). Raises RedisError."""
        seconds, _ = self._shared.time()
        return bool(self._shared.zadd(self.KEY, {self.id: seconds}))

    def lives(self, worker: str) -> bool:
        """Whether another worker's heart has beaten within its life. Raises RedisError."""
        seconds, _ = self._shared.time()
        return float(self._shared.zscore(self.KEY, worker) or 0) > seconds - self._life_s

    def bury(self) -> list[str]:
        """The workers whose heart has stopped; of all that live, one alone gets each of them. Raises RedisError."""
        seconds, _ = self._shared.time()
        stopped = map(str, self._shared.zrangebyscore(self.KEY, "-inf", seconds - self._life_s))
        return [worker for worker in stopped if self._shared.zrem(self.KEY, worker)]

    def leave(self) -> None:
        """This worker ends. Raises RedisError."""
        self._shared.zrem(self.KEY, self.id)

"""What several workers share: one Redis. Whatever is in it may be lost at any moment without losing a message.

Every name begins with `sotto:`. Without REDIS_URL there is one worker, and each part keeps its own in memory.
"""

from __future__ import annotations

import socket
import uuid
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

__all__ = ["RedisError", "Shared", "Workers", "connect", "listen_to", "pool", "storage_options"]

# An event waits for Redis at most this long; then it is handled as if this worker were alone.
TIMEOUT_S = 2.0
# Of one kind of use. Who finds all taken waits for one; without a bound, a burst of events would open one line each.
CONNECTIONS = 16
# A Redis whose machine is gone says nothing: the system asks after 10 s of silence, and gives up 15 s later.
KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
Shared = redis.Redis


def pool(url: str) -> redis.BlockingConnectionPool:
    """Lines to the Redis at `url`, opened as they are needed, that fail fast."""
    found: redis.BlockingConnectionPool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return found


def connect(url: str) -> Shared:
    """A client of the Redis at `url`; it connects when it is first used, and fails fast."""
    return redis.Redis(connection_pool=pool(url))


def listen_to(url: str) -> Shared:
    """A client for listening: it may wait for the next message for ever, as long as Redis' machine is there."""
    client: Shared = redis.Redis.from_url(
        url,
        socket_connect_timeout=TIMEOUT_S,
        socket_keepalive=True,
        socket_keepalive_options=KEEPALIVE,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def storage_options(url: str) -> dict[str, Any]:
    """What the rate limits' storage at `url` is to be told, so that it fails fast, too; none for memory."""
    return {"connection_pool": pool(url)} if url else {}


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

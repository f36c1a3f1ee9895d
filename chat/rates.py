"""How many socket events a person may send: counted by this worker, and beyond its share by all workers together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from chat.shared import RedisError, storage_options
from chat.windows import MovingWindows

log = logging.getLogger("sotto.rates")

# What a worker grants by itself: most people never send more, and Redis is not asked about them.
OWN_SHARE = 4


class EventRates:
    """Rates of events of one kind from one account: `EVENTS_PER_SECOND` and `SIGNALS_PER_SECOND` of the settings.

    With `REDIS_URL`, a quarter of a rate is each worker's own to grant; what goes beyond it is counted in Redis.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        rates = {"event": config["EVENTS_PER_SECOND"], "signal": config["SIGNALS_PER_SECOND"]}
        self._all = {kind: RateLimitItemPerSecond(rate) for kind, rate in rates.items()}
        self._memory = {kind: MovingWindows(rate) for kind, rate in rates.items()}
        self._own = {kind: MovingWindows(max(1, rate // OWN_SHARE)) for kind, rate in rates.items()}
        self._shared: MovingWindowRateLimiter | None = None
        if config["REDIS_URL"]:
            url = config["REDIS_URL"]
            storage = storage_from_string(url, wrap_exceptions=True, **storage_options(url))
            self._shared = MovingWindowRateLimiter(storage)

    def admit(self, kind: str, event: str, custom_id: str) -> bool:
        """Count one event; whether it is within the rate of its kind ("event" or "signal")."""
        if self._shared is None:
            return self._memory[kind].hit(event, custom_id)
        if self._own[kind].hit(event, custom_id):
            return True
        try:
            return self._shared.hit(self._all[kind], event, custom_id)
        except (StorageError, RedisError) as fault:
            log.warning("rates of this worker only: %s", type(fault).__name__)
            return self._memory[kind].hit(event, custom_id)

"""The open calls of all workers: in Redis, `sotto:call:<pair>`; while it does not answer, those of one worker alone."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

from chat.calls import Call, Change, Ledger
from chat.shared import RedisError, Shared

log = logging.getLogger("sotto.calls")

# Longer than anybody talks; what its two people and their workers left behind goes by itself.
KEPT_FOR_S = 24 * 3600


class SharedLedger(Ledger):
    """Calls that the sockets of several workers hold."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared

    def change(self, pair: str, change: Change) -> bool:
        """As `Ledger.change`; `change` may be called again when another worker was faster."""
        key = f"sotto:call:{pair}"

        def attempt(pipeline: Any) -> None:
            raw = pipeline.get(key)
            call = change(Call(**json.loads(raw)) if raw else None)
            pipeline.multi()
            if call is None:
                pipeline.delete(key)
            else:
                pipeline.set(key, json.dumps(asdict(call)), ex=KEPT_FOR_S)

        try:
            self._shared.transaction(attempt, key)
        except RedisError as fault:
            log.warning("calls of this worker only: %s", type(fault).__name__)
            super().change(pair, change)
            return False
        self._calls.pop(pair, None)  # what this worker noted by itself while Redis was away
        return True

"""Waiting for what happens elsewhere, in a thread or in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# An upper bound for a machine that is busy with other things; nothing waits longer than it has to.
PATIENCE_S = 30.0


def wait_until(condition: Callable[[], Any], what: str = "the condition", timeout: float = PATIENCE_S) -> Any:
    """The first truthy value of `condition`; fails the test after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return value

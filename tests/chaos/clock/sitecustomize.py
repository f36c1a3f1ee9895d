"""Read by every Python whose PYTHONPATH names this folder: its wall clock is off by the seconds in $CLOCK_OFFSET_FILE.

Monotonic clocks go on as they are, as they do on a machine whose clock is set.
"""

from __future__ import annotations

import os

# Taken now: a worker replaces these by its own later, and this must go on beside its loop.
from _thread import start_new_thread
from pathlib import Path
from time import sleep, time

import time_machine

LOOK_S = 0.05


def _follow(file: Path) -> None:
    offset, travel = 0.0, None
    while True:
        wanted = float(file.read_text() or 0)
        if wanted != offset:
            if travel:
                travel.stop()
            travel = time_machine.travel(time() + wanted, tick=True) if wanted else None
            if travel:
                travel.start()
            offset = wanted
        sleep(LOOK_S)


def _start() -> None:
    start_new_thread(_follow, (Path(os.environ["CLOCK_OFFSET_FILE"]),))


os.register_at_fork(after_in_child=_start)

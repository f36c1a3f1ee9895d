"""What is done to a Sotto under traffic; each fault ends with everything up again."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cable import Cable
from tests.chaos.talker import Weather
from tests.fleet import Fleet
from tests.waiting import wait_until

CUT_S = (0.2, 2.0)
WEATHER_S = 2.0
STEP_S = 300


@dataclass
class Place:
    """Everything a fault may touch; `clock` is the file the units' clocks follow."""

    fleet: Fleet
    cable: Cable
    weather: Weather
    clock: Path


def _unit(place: Place) -> int:
    return random.randrange(len(place.fleet.units))


def worker_killed(place: Place) -> None:
    """Kill -9 of a unit, arbiter and worker."""
    unit = place.fleet.units[_unit(place)]
    unit.kill()
    unit.start()


def worker_ended(place: Place) -> None:
    """SIGTERM of a unit, as at an update."""
    index = _unit(place)
    place.fleet.cluster.end(f"unit{index}")
    place.fleet.units[index].start()


def database_killed(place: Place) -> None:
    """Kill -9 of the database; its supervisor starts it again."""
    state = place.fleet.cluster.folder / "db/state.json"
    pid = json.loads(state.read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: json.loads(state.read_text())["pid"] != pid, "another database process")
    for unit in place.fleet.units:
        wait_until(lambda unit=unit: unit.ask("GET", "/readyz").status_code == 200, "the database to answer")


def redis_killed(place: Place) -> None:
    """Kill -9 of Redis, which forgets everything."""
    place.fleet.cluster.kill("redis")
    time.sleep(random.uniform(*CUT_S))
    place.fleet.cluster.start_redis()


def network_cut(place: Place) -> None:
    """All lines between clients and nginx end, and none is let through for a while."""
    place.cable.cut()
    time.sleep(random.uniform(*CUT_S))
    place.cable.heal()


def frames_duplicated(place: Place) -> None:
    """Frames come twice, in both directions."""
    place.weather.duplicates = True
    time.sleep(WEATHER_S)
    place.weather.duplicates = False


def frames_reordered(place: Place) -> None:
    """Frames that come close together swap their places."""
    place.weather.reorders = True
    time.sleep(WEATHER_S)
    place.weather.reorders = False


def clock_stepped(place: Place) -> None:
    """The units' clocks jump by minutes, and back."""
    place.clock.write_text(str(random.choice((-STEP_S, STEP_S))))
    time.sleep(WEATHER_S)
    place.clock.write_text("0")


FAULTS: tuple[Callable[[Place], None], ...] = (
    worker_killed,
    worker_ended,
    database_killed,
    redis_killed,
    network_cut,
    frames_duplicated,
    frames_reordered,
    clock_stepped,
)

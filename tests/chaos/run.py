"""`make chaos`: traffic between many pairs, faults at random moments, and a summary of what became of every message."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos.cable import Cable
from tests.chaos.checker import Verdict, judge
from tests.chaos.faults import FAULTS, Place
from tests.chaos.talker import Talker, Weather
from tests.conftest import BUSY
from tests.fleet import Fleet
from tests.people import Person
from tests.waiting import wait_until

CALM_S = (0.5, 1.5)
SETTLE_TIMEOUT_S = 90
Say = Callable[[str], None]


def faked_clock(file: Path) -> dict[str, str]:
    """The environment in which a worker's wall clock is off by the seconds in `file`."""
    file.write_text("0")
    return {"PYTHONPATH": str(Path(__file__).parent / "clock"), "CLOCK_OFFSET_FILE": str(file)}


def couples(fleet: Fleet, cable: Cable, count: int, pause: float, weather: Weather) -> list[tuple[Talker, Talker]]:
    """Pairs with keys, both of each writing to the other."""
    found = []
    for _ in range(count):
        one, other = Person(fleet.units[0]), Person(fleet.units[1])
        one.befriend(other)
        for person in (one, other):
            person.leave()
        origin = f"http://127.0.0.1:{cable.port}"
        talkers = [Talker(me, you.id, origin, pause, weather) for me, you in ((one, other), (other, one))]
        found.append((talkers[0], talkers[1]))
    return found


def storm(place: Place, rounds: int, say: Say) -> Counter[str]:
    """Every fault `rounds` times, in any order; how often each was survived."""
    survived: Counter[str] = Counter()
    for fault in random.sample(FAULTS * rounds, len(FAULTS) * rounds):
        time.sleep(random.uniform(*CALM_S))
        began = time.monotonic()
        fault(place)
        survived[fault.__name__] += 1
        say(f"{fault.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)")
    return survived


def chaos(folder: Path, rounds: int, pairs: int, pause: float, say: Say) -> tuple[Counter[str], Verdict]:
    """Run the whole: faults survived and the verdict over all messages."""
    clock, weather = folder / "clock", Weather()
    fleet = Fleet(folder, **BUSY, unit_environ=faked_clock(clock))
    cable = Cable(fleet.cluster.port)
    talkers: list[Talker] = []
    try:
        mates = couples(fleet, cable, pairs, pause, weather)
        talkers = [talker for mate in mates for talker in mate]
        for talker in talkers:
            talker.start()
        survived = storm(Place(fleet, cable, weather, clock), rounds, say)
        for talker in talkers:
            talker.rest()
        wait_until(lambda: all(talker.is_done for talker in talkers), "every message's answer", SETTLE_TIMEOUT_S)
        settle(mates)
        verdict = Verdict()
        for one, other in mates:
            for writer, reader in ((one, other), (other, one)):
                rows = list(fleet.database().messages.find({"sender": writer.person.id}))
                judge(verdict, writer.diary, reader.diary, rows)
        return survived, verdict
    finally:
        for talker in talkers:
            talker.end()
        cable.close()
        fleet.stop()


def settle(mates: list[tuple[Talker, Talker]]) -> None:
    """Wait for what is still on its way; what has not come after the time-out is lost, and the judge will say so."""

    def arrived() -> bool:
        return all(
            {sent.id for sent in writer.diary.acknowledged} <= {message["_id"] for message in reader.diary.received}
            for mate in mates
            for writer, reader in (mate, mate[::-1])
        )

    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while not arrived() and time.monotonic() < deadline:
        time.sleep(0.1)


def main() -> int:
    """Run it from the command line; 1 when anything was lost, doubled or reordered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each fault (default: 10)")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two messages of one person")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    random.seed(options.seed)
    sys.stdout.write(f"seed {options.seed}\n")

    def say(line: str) -> None:
        sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="sotto-chaos-"))
    survived, verdict = chaos(folder, options.rounds, options.pairs, options.pause, say)
    for finding in verdict.findings[:50]:
        say(finding)
    sys.stdout.write(
        "".join(f"{count:4} × {name.replace('_', ' ')}\n" for name, count in sorted(survived.items()))
        + f"faults survived {survived.total()}, messages acknowledged {verdict.acknowledged},"
        f" lost {verdict.lost}, doubled {verdict.doubled}, reordered {verdict.reordered}\n"
    )
    if verdict.is_good:
        shutil.rmtree(folder)
        return 0
    sys.stdout.write(f"logs: {folder}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

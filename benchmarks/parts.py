"""The parts of `make bench`: each measures one promise, and compares within its own run wherever it can."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import history_page, inserting, units
from benchmarks.people import Person, populate
from deploy.cluster import Cluster

SENDERS = (2, 20, 100, 200)
PASSPHRASE = "correct horse battery"
STEADY_PER_SECOND = 100
STEADY_PEOPLE = 50
LOGINS_PER_SECOND = 20
RELAY_PAIRS = 200
ROUNDS = 3
CONNECTIONS = (1000, 5000)
# Longer than a ping interval of 25 s: every line has been pinged once and has gone back to sleep.
IDLE_S = 30.0


@dataclass
class Row:
    """One line of the table: what was measured, and the goal and whether it is met where there is one."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None


@dataclass
class Bench:
    """What the parts share: the database, and how long a single measurement takes; `figures` becomes the JSON."""

    database_uri: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)

    def people(self, count: int, passphrase: str = "") -> list[Person]:
        """New people in the database."""
        return populate(self.database_uri, units.SECRET, count, passphrase)

    def sotto(self, **settings: str) -> units.Unit:
        """A unit of Sotto on the database."""
        return units.sotto(self.database_uri, **settings)


def _job(people: list[Person]) -> dict[str, Any]:
    return {"auths": [person.auth for person in people], "ids": [person.id for person in people]}


def _latency(report: dict[str, Any]) -> str:
    return f"p50 {report['p50']} p95 {report['p95']} p99 {report['p99']} ms"


def _median(reports: list[dict[str, Any]], name: str) -> float:
    return statistics.median(report[name] for report in reports)


def durable(bench: Bench) -> list[Row]:
    """(a) Durable messages a second, and the time to the acknowledgement; the same with one insert a message."""
    figures: dict[str, Any] = {}
    rows = []
    for count in SENDERS:
        people = bench.people(count)
        with bench.sotto() as unit:
            figures[f"{count} senders"] = report = units.run("senders", unit, seconds=bench.seconds, **_job(people))
        goal = ">= 800/s" if count == 100 else ""
        met = report["per_second"] >= 800 if goal else None
        value = f"{report['per_second']:.0f}/s, {_latency(report)}, generator {report['generator_cpu']:.0%} of a core"
        rows.append(Row(f"a durable messages, {count} senders", value, goal, met))
    people = bench.people(100)
    with bench.sotto(COMMIT_BATCH="1") as unit:
        figures["one insert a message"] = single = units.run("senders", unit, seconds=bench.seconds, **_job(people))
    ratio = figures["100 senders"]["per_second"] / single["per_second"]
    figures["ratio"] = round(ratio, 2)
    value = f"{single['per_second']:.0f}/s; group commit is {ratio:.1f} x"
    rows.append(Row("a one insert a message, 100 senders", value, ">= 4 x", ratio >= 4))
    bench.figures["a"] = figures
    return rows


def _steady(bench: Bench, unit: units.Unit, people: list[Person]) -> dict[str, Any]:
    return units.run("steady", unit, seconds=bench.seconds, rate=STEADY_PER_SECOND, **_job(people))


def steady(bench: Bench) -> list[Row]:
    """(b) The time to the acknowledgement at a steady rate."""
    reports, inserts = [], []
    people = bench.people(STEADY_PEOPLE)
    with bench.sotto() as unit:
        for _ in range(ROUNDS):
            inserts.append(inserting.steady(bench.database_uri, STEADY_PER_SECOND, bench.seconds))
            reports.append(_steady(bench, unit, people))
    bench.figures["b"] = {"sotto": reports, "inserts": inserts}
    p99 = _median(reports, "p99")
    value = f"p50 {_median(reports, 'p50')} p95 {_median(reports, 'p95')} p99 {p99} ms"
    bare = f"p50 {_median(inserts, 'p50')} p95 {_median(inserts, 'p95')} p99 {_median(inserts, 'p99')} ms"
    return [
        Row(f"b steady {STEADY_PER_SECOND}/s", value, "p99 <= 30 ms", p99 <= 30),
        Row("b bare inserts into the database, in turns with it", bare),
    ]


def relay(bench: Bench) -> list[Row]:
    """(c) Typing events passed on a second, in turns with a bare Flask-SocketIO on eventlet."""
    people = bench.people(2 * RELAY_PAIRS)
    halves = people[::2] + people[1::2]
    nobody = {"auths": [None] * len(people), "ids": []}
    bare, own = [], []
    for _ in range(ROUNDS):
        with units.bare_echo() as unit:
            bare.append(units.run("relay", unit, seconds=bench.seconds, **nobody))
        with bench.sotto() as unit:
            own.append(units.run("relay", unit, seconds=bench.seconds, **_job(halves)))
    ratio = _median(own, "per_second") / _median(bare, "per_second")
    cpu_ratio = _median(own, "per_cpu_second") / _median(bare, "per_cpu_second")
    bench.figures["c"] = {"bare": bare, "sotto": own, "ratio": round(ratio, 2), "ratio_per_cpu": round(cpu_ratio, 2)}
    busy = max(report["generator_cpu"] for report in own)
    value = f"{_median(own, 'per_second'):.0f}/s, bare {_median(bare, 'per_second'):.0f}/s: {ratio:.2f} x"
    return [
        Row(f"c relay, {RELAY_PAIRS} pairs", f"{value}, generator {busy:.0%} of a core", ">= 1.7 x", ratio >= 1.7),
        Row("c the same per second of the worker's CPU", f"{cpu_ratio:.2f} x"),
    ]


def _kib_per_line(unit: units.Unit, auths: list[Any]) -> float:
    before = unit.resident_kib()
    generator = units.Generator("idle", unit.port, seconds=IDLE_S, auths=auths)
    generator.hear()
    took = (unit.resident_kib() - before) / len(auths)
    generator.end()
    return took


def memory(bench: Bench) -> list[Row]:
    """(d) Memory of an idle connection, beside the bare echo's."""
    rows = []
    bench.figures["d"] = figures = {}
    for count in CONNECTIONS:
        people = bench.people(count)
        with units.bare_echo() as unit:
            bare = _kib_per_line(unit, [None] * count)
        with bench.sotto() as unit:
            own = _kib_per_line(unit, [person.auth for person in people])
        ratio = own / bare
        figures[str(count)] = {"bare_kib": round(bare, 1), "sotto_kib": round(own, 1), "ratio": round(ratio, 2)}
        value = f"{own:.1f} KiB each, bare {bare:.1f} KiB: {ratio:.2f} x"
        rows.append(Row(f"d memory, {count} idle connections", value, "<= 0.6 x", ratio <= 0.6))
    return rows


def history(bench: Bench) -> list[Row]:
    """(e) A page of history in short and long conversations."""
    medians = history_page.measure()
    base = medians[min(medians)]
    bench.figures["e"] = {str(length): round(seconds * 1000, 3) for length, seconds in medians.items()}
    return [
        Row(f"e a page of history of {length}", f"{seconds * 1000:.2f} ms, {seconds / base:.2f} x the shortest's")
        for length, seconds in medians.items()
    ]


def storm(bench: Bench) -> list[Row]:
    """(f) What a login storm does to (b), on the same unit."""
    people = bench.people(STEADY_PEOPLE)
    names = [f"p-{person.id}" for person in bench.people(STEADY_PEOPLE, PASSPHRASE)]
    job = {"rate": LOGINS_PER_SECOND, "seconds": bench.seconds + 3, "names": names, "passphrase": PASSPHRASE}
    calm, during, signed_in = [], [], []
    with bench.sotto() as unit:
        for _ in range(ROUNDS):
            calm.append(_steady(bench, unit, people))
            logins = units.Generator("logins", unit.port, **job)
            during.append(_steady(bench, unit, people))
            signed_in.append(logins.hear())
            logins.end()
    ratio = _median(during, "p99") / _median(calm, "p99")
    bench.figures["f"] = {"calm": calm, "during": during, "logins": signed_in, "ratio": round(ratio, 2)}
    value = f"p50 {_median(during, 'p50')} p99 {_median(during, 'p99')} ms; calm {_median(calm, 'p50')} and"
    done = f"{_median(signed_in, 'per_second')}/s done, p50 {_median(signed_in, 'p50')} ms"
    return [
        Row(
            f"f steady during {LOGINS_PER_SECOND} logins/s",
            f"{value} {_median(calm, 'p99')} ms: {ratio:.1f} x",
            "p99 <= 3 x",
            ratio <= 3,
        ),
        Row("f the logins", done),
    ]


def cluster(bench: Bench) -> list[Row]:
    """(g) Typing events passed on by one worker and by two, both behind nginx and on Redis, in turns."""
    people = bench.people(2 * RELAY_PAIRS)
    halves = people[::2] + people[1::2]
    environ = units.environ(bench.database_uri)
    reports: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for count, seen in reports.items():
            with tempfile.TemporaryDirectory() as folder:
                fleet = Cluster(Path(folder), units.free_port(), count, environ)
                fleet.start()
                try:
                    seen.append(units.observe("relay", fleet.port, seconds=bench.seconds, **_job(halves)))
                finally:
                    fleet.stop()
    one, two = (_median(reports[count], "per_second") for count in (1, 2))
    bench.figures["g"] = {"one worker": reports[1], "two workers": reports[2], "ratio": round(two / one, 2)}
    value = f"{two:.0f}/s, one {one:.0f}/s: {two / one:.2f} x, generator, nginx and Redis on the same cores"
    return [Row("g relay, two workers", value, ">= 1.3 x", two / one >= 1.3)]


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "a": durable,
    "b": steady,
    "c": relay,
    "d": memory,
    "e": history,
    "f": storm,
    "g": cluster,
}

"""`make bench`: the server's promises in figures, as a table, and as JSON in instance/bench.json.

Run: .venv/bin/python -m benchmarks.bench [--only a,c] [--seconds 8]
It starts a database and gunicorn units of its own; nothing that is already running is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mongoengine

from benchmarks.parts import PARTS, Bench, Row
from chat import cli, embedded_db

RESULTS = Path(__file__).resolve().parent.parent / "instance/bench.json"
MARK = {True: "met", False: "MISSED", None: ""}


@contextmanager
def _database() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        uri = embedded_db.ensure_running(Path(folder))
        mongoengine.connect(host=uri, tz_aware=True, uuidRepresentation="standard")
        cli.migrate(uri)
        mongoengine.disconnect()
        yield uri


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = "; ".join(f"{letter}: {(part.__doc__ or '')[4:].strip()}" for letter, part in PARTS.items())
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, e.g. a,c. {parts}")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a single measurement")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row.name:<48} {row.value:<88} {row.goal:<14} {MARK[row.met]}".rstrip(), flush=True)


def main() -> None:
    """Measure the parts, print the table as it grows, and write the figures."""
    options = _options()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}; load before: {os.getloadavg()[0]:.1f}; open files: {soft} raised to {hard}\n")
    with _database() as uri:
        bench = Bench(uri, options.seconds)
        for letter in options.only:
            _show(PARTS[letter](bench))
    RESULTS.parent.mkdir(exist_ok=True)
    about = {"machine": machine, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    RESULTS.write_text(json.dumps(about | bench.figures, indent=2) + "\n")
    print(f"\nFigures: {RESULTS}")


if __name__ == "__main__":
    main()

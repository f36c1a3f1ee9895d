"""A short storm; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.run import chaos


def test_every_fault_once_under_traffic_loses_doubles_and_reorders_nothing(tmp_path: Path) -> None:
    survived, verdict = chaos(tmp_path, rounds=1, pairs=4, pause=0.1, say=print)
    assert survived == {fault.__name__: 1 for fault in FAULTS}
    assert verdict.is_good, verdict

"""Compares what was acknowledged with what the receiver took and what the database keeps."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.talker import Diary


@dataclass
class Verdict:
    """Counts of messages; `findings` says of each wrong one what is wrong."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or reordered, of anything."""
        return self.acknowledged > 0 and not (self.lost or self.doubled or self.reordered)


def judge(verdict: Verdict, writer: Diary, reader: Diary, rows: list[dict[str, Any]]) -> None:
    """Add one direction of one conversation: both diaries, and the writer's rows."""
    verdict.acknowledged += len(writer.acknowledged)
    stored = Counter(row["text"] for row in rows)
    numbers = Counter(row["seq"] for row in rows)
    taken = Counter(message["_id"] for message in reader.received)
    for sent in writer.acknowledged:
        if stored[sent.text] == 0 or taken[sent.id] == 0:
            verdict.lost += 1
            where = "the database" if stored[sent.text] == 0 else "the receiver"
            verdict.findings.append(f"{sent.id} ({sent.seq}) is not in {where}")
        if stored[sent.text] > 1 or taken[sent.id] > 1 or numbers[sent.seq] > 1:
            verdict.doubled += 1
            verdict.findings.append(f"{sent.id} ({sent.seq}) is there more than once")
    for name, seqs in (
        ("written", [sent.seq for sent in writer.acknowledged]),
        ("received", [message["seq"] for message in reader.received]),
    ):
        swapped = [pair for pair in itertools.pairwise(seqs) if pair[0] >= pair[1]]
        verdict.reordered += len(swapped)
        verdict.findings += [f"{name} out of order: {one} before {other}" for one, other in swapped]

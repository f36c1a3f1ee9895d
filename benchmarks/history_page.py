"""A page of history in conversations of 100, 10,000 and 100,000 messages: the cost must not depend on the length.

Run: .venv/bin/python -m benchmarks.history_page   (on an embedded database of its own, in a temporary folder).
Prints the median time of a page of 50 at random places, and the ratio to the shortest conversation.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import mongoengine

from chat import cli, embedded_db, history
from chat.models import Message, conversation_id, now

LENGTHS = (100, 10_000, 100_000)
PAGE = 50
ROUNDS = 200
GROUP = 1000
ENVELOPE = '{"iv":[' + ",".join(["200"] * 12) + '],"content":[' + ",".join(["200"] * 66) + "]}"


def _rows(pair: str, sender: str, receiver: str, first: int, count: int) -> list[dict[str, Any]]:
    moment = now()
    return [
        {
            "_id": f"{sender}:{pair}:{seq}",
            "conversation": pair,
            "seq": seq,
            "sender": sender,
            "receiver": receiver,
            "type": "text",
            "text": ENVELOPE,
            "created_at": moment,
        }
        for seq in range(first, first + count)
    ]


def _fill(length: int) -> tuple[str, str]:
    """A conversation of `length` messages; returns its two people."""
    one, other = f"{length:012d}", f"{length + 1:012d}"
    pair = conversation_id(one, other)
    for first in range(1, length + 1, GROUP):
        Message._get_collection().insert_many(_rows(pair, one, other, first, min(GROUP, length - first + 1)))
    mongoengine.get_db()["conversations"].insert_one(
        {"_id": pair, "members": [one, other], "connected": True, "last_seq": length - 10, "delivered": {}, "read": {}}
    )
    return one, other


def _page_seconds(people: tuple[str, str], length: int) -> float:
    before = None if random.random() < 0.5 else random.randint(PAGE + 1, length)
    started = time.perf_counter()
    rows, _ = history.conversation_page(*people, "", before=before, limit=PAGE)
    took = time.perf_counter() - started
    if len(rows) != PAGE:
        raise RuntimeError(f"a page of {len(rows)} instead of {PAGE}")
    return took


def measure() -> dict[int, float]:
    """The median time of a page, in seconds, by the length of the conversation."""
    with tempfile.TemporaryDirectory() as folder:
        uri = embedded_db.ensure_running(Path(folder))
        mongoengine.connect(host=uri, tz_aware=True, uuidRepresentation="standard")
        cli.migrate(uri)
        people = {length: _fill(length) for length in LENGTHS}
        samples: dict[int, list[float]] = {length: [] for length in LENGTHS}
        for _ in range(ROUNDS):  # interleaved, so that a noisy moment of the machine falls on all alike
            for length in LENGTHS:
                samples[length].append(_page_seconds(people[length], length))
        return {length: statistics.median(samples[length]) for length in LENGTHS}


def main() -> None:
    """Measure and print."""
    medians = measure()
    for length, median in medians.items():
        ratio = median / medians[LENGTHS[0]]
        print(f"{length:>7} messages: {median * 1000:6.2f} ms a page of {PAGE}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

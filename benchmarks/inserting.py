"""The database alone, as a measure of the machine: durable inserts at a steady rate, without any Sotto."""

from __future__ import annotations

import time
import uuid
from typing import Any

from pymongo import MongoClient

from benchmarks.percentiles import percentiles

ROW = {"text": "x" * 320}


def steady(database_uri: str, rate: float, seconds: float) -> dict[str, float]:
    """p50, p95, p99 and the largest latency in ms; each counts from when its insert was due."""
    database: Any = MongoClient(database_uri, w="majority", journal=True).get_default_database()
    latencies = []
    due = began = time.perf_counter()
    while due < began + seconds:
        time.sleep(max(0.0, due - time.perf_counter()))
        database["inserting"].insert_one({"_id": str(uuid.uuid4()), **ROW})
        latencies.append(time.perf_counter() - due)
        due += 1 / rate
    database.client.close()
    return percentiles(latencies)

"""Latencies as a table shows them."""

from __future__ import annotations

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def percentiles(latencies: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest of latencies in seconds, in ms."""
    ordered = sorted(latencies) or [float("nan")]
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in SHARES.items()}
    return {name: round(seconds * 1000, 2) for name, seconds in (at | {"max": ordered[-1]}).items()}

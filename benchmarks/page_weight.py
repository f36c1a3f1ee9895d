"""Bytes over the wire for the chat page, compressed and with headers, by kind: a first visit and a repeat visit.

Run: .venv/bin/python -m benchmarks.page_weight   (a Sotto of its own, in a temporary folder).
Goals: a first visit takes at most 100 KB; a repeat visit fetches the page and what is alive, nothing of /static/.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext

from tests.browser import PASSPHRASE
from tests.doorway import chromium
from tests.people import Server

GOAL_BYTES = 100_000


# By Chromium's name of its kind: (path, bytes over the wire, bytes of them that are body).
Fetched = dict[str, list[tuple[str, int, int]]]


def visit(context: BrowserContext, origin: str) -> Fetched:
    """What one visit of the chat page fetches over the wire."""
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    kinds: dict[str, tuple[str, str]] = {}
    cached: set[str] = set()
    headers: dict[str, int] = {}
    fetched: Fetched = defaultdict(list)

    def on_response(event: dict[str, Any]) -> None:
        response = event["response"]
        headers[event["requestId"]] = round(response["encodedDataLength"])
        kinds[event["requestId"]] = (event["type"], response["url"].removeprefix(origin))
        if response.get("fromDiskCache") or response.get("fromPrefetchCache"):
            cached.add(event["requestId"])

    def on_finished(event: dict[str, Any]) -> None:
        number = event["requestId"]
        if number in kinds and number not in cached and event["encodedDataLength"] > 0:
            kind, path = kinds[number]
            size = round(event["encodedDataLength"])
            fetched[kind].append((path, size, size - headers[number]))

    network.on("Network.responseReceived", on_response)
    network.on("Network.requestServedFromCache", lambda event: cached.add(event["requestId"]))
    network.on("Network.loadingFinished", on_finished)
    page.goto(origin, wait_until="networkidle")
    page.locator(".my-id-display strong").wait_for()
    page.close()
    return fetched


def report(name: str, fetched: Fetched) -> int:
    """Print a visit; its bytes."""
    answers = [answer for items in fetched.values() for answer in items]
    total, body = sum(size for _, size, _ in answers), sum(body for _, _, body in answers)
    print(f"{name}: {total / 1000:.1f} KB in {len(answers)} answers, {body / 1000:.1f} KB of it bodies")
    for kind, items in sorted(fetched.items()):
        print(f"  {kind:<12} {sum(size for _, size, _ in items) / 1000:7.1f} KB  {len(items):3} answers")
    return total


def main() -> None:
    """Print both visits beside their goals."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Server(Path(folder))
        context = browser.new_context()
        form = {"username": "mara", "passphrase": PASSPHRASE}
        context.request.post(f"{site.origin}/login", form=form, headers={"HX-Request": "true"})
        total = report("first visit", visit(context, site.origin))
        print(f"  goal: at most {GOAL_BYTES / 1000:.0f} KB: {'met' if total <= GOAL_BYTES else 'MISSED'}")
        again = visit(context, site.origin)
        report("repeat visit", again)
        static = [path for items in again.values() for path, _, _ in items if path.startswith("/static/")]
        print(f"  goal: nothing of /static/: {'met' if not static else f'MISSED: {static}'}")
        site.stop()


if __name__ == "__main__":
    main()

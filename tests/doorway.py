"""Fixtures of the browser tests: one Chromium, a fresh context a person, and nobody's page may have a fault."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import fleet
from tests.browser import Enter, Person, connect
from tests.people import Server

ARGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A microphone that beeps; who may use it is a matter of `permissions`, as with a real one.
    "--use-fake-device-for-media-stream",
)
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "reduced_motion": "reduce"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGS))
        yield browser
        browser.close()


def refuse_faults(people: Iterable[Person]) -> None:
    """Fail when a page had a fault that its test did not expect."""
    faults = [f"{one.username}: {fault}" for one in people for fault in one.record.unexpected()]
    assert not faults, "\n".join(faults)


@contextmanager
def doorway(browser: Browser, origin: str) -> Iterator[Enter]:
    """The way in to a Sotto; when it closes, no page of anybody who came in may have had an unexpected fault."""
    people: list[Person] = []

    def enter(name: str, *, username: str = "", signed_in: bool = True, **options: Any) -> Person:
        context = browser.new_context(**DESKTOP | options)
        person = Person(context, origin, username or f"{name}-{secrets.token_hex(3)}")
        people.append(person)
        return person.sign_in() if signed_in else person

    try:
        yield enter
        refuse_faults(people)
    finally:
        for one in people:
            one.context.close()


@pytest.fixture(scope="session")
def site(instance: Path) -> Iterator[Server]:
    """The Sotto the browser tests share, with the limits as they are by default."""
    running = fleet.site(instance)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as launched:
        yield launched


@pytest.fixture
def enter(browser: Browser, site: Server) -> Iterator[Enter]:
    """Come in to the Sotto all tests share."""
    with doorway(browser, site.origin) as way:
        yield way


@pytest.fixture(scope="module")
def acquainted(browser: Browser, site: Server) -> Iterator[tuple[Person, Person]]:
    """Two people with keys, for all tests of a module."""
    with doorway(browser, site.origin) as way:
        mara, jonas = way("mara"), way("jonas")
        connect(mara, jonas)
        yield mara, jonas


@pytest.fixture
def pair(acquainted: tuple[Person, Person]) -> Iterator[tuple[Person, Person]]:
    """The acquainted two, each with the conversation open in one tab and a new record."""
    for person, other in (acquainted, acquainted[::-1]):
        for tab in person.context.pages:
            if tab is not person.page:
                tab.close()
        if person.page.url != f"{person.origin}/":
            person.page.goto(person.origin)
        person.open_chat(other)
        person.record.clear()
    yield acquainted
    refuse_faults(acquainted)
    for person in acquainted:
        person.record.clear()

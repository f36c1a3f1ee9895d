"""The Sotto that the server's tests talk to, and the people in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import fleet
from tests.people import Person, Server
from tests.seals import sealed

Join = Callable[..., Person]
Serve = Callable[..., Server]

# One test does in a second what a person does in a day; the limits have tests of their own.
BUSY = {"EVENTS_PER_SECOND": "100000", "SIGNALS_PER_SECOND": "100000", "SOCKETS_PER_PERSON": "100000"}


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the database that all these servers share."""
    return tmp_path_factory.mktemp("instance")


@pytest.fixture(scope="session")
def server(instance: Path) -> Iterator[Server]:
    """The Sotto most tests share."""
    running = fleet.site(instance, **BUSY)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def proxied(instance: Path) -> Iterator[Server]:
    """A Sotto behind one proxy, with narrow budgets: each test is somebody else by `X-Forwarded-For`."""
    narrow = {"LOGIN_LIMIT_PER_IP": "6 per hour", "LOGIN_LIMIT_PER_USERNAME": "3 per hour"}
    running = Server(instance, TRUSTED_PROXIES="1", **narrow)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def serve(instance: Path) -> Iterator[Serve]:
    """Start further Sottos with settings of their own, on the same database."""
    started: list[Server] = []

    def start(**settings: str) -> Server:
        started.append(Server(instance, **BUSY | settings))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def join(server: Server) -> Iterator[Join]:
    """Sign somebody new up; whoever joined leaves after the test."""
    joined: list[Person] = []

    def sign_up(at: Server = server, **login: str) -> Person:
        joined.append(Person(at, **login))
        return joined[-1]

    yield sign_up
    for person in joined:
        person.leave()


@pytest.fixture
def mara(join: Join) -> Person:
    """The one who acts first."""
    return join()


@pytest.fixture
def jonas(join: Join) -> Person:
    """The other one."""
    return join()


@contextmanager
def unharmed(server: Server, one: Person, other: Person) -> Iterator[None]:
    """Whatever is done inside: no stack trace in the log, no 5xx, and afterwards `one` reaches `other` as before."""
    seen = len(server.log.read_bytes())
    yield
    written = server.log.read_bytes()[seen:].decode()
    assert "Traceback" not in written, written
    assert not re.search(r'" 5\d\d -', written), written
    text = sealed("still here")
    assert one.send(other, text)["ok"]
    other.line.wait_for("receive_message", lambda message: message["text"] == text)

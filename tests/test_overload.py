"""A database that is down, hangs or cannot keep up: senders are told `busy`, nothing is lost, and it heals itself."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo.uri_parser import parse_uri

from chat import embedded_db, history
from chat.models import now
from tests.chaos.cable import Cable
from tests.conftest import BUSY
from tests.line import ConnectRefused, Line
from tests.people import Person, Server
from tests.seals import sealed
from tests.waiting import wait_until

QUEUE = 4


@pytest.fixture(scope="module")
def cable(instance: Path, server: Server) -> Iterator[Cable]:
    """The line between a server and its database, which `server` has migrated."""
    assert server.ask("GET", "/readyz").ok
    running = Cable(parse_uri(embedded_db.ensure_running(instance))["nodelist"][0][1])
    yield running
    running.close()


@pytest.fixture(scope="module")
def dependent(instance: Path, cable: Cable) -> Iterator[Server]:
    """A Sotto that reaches its database by the cable."""
    address = f"mongodb://127.0.0.1:{cable.port}/sotto?directConnection=true"
    running = Server(instance, **BUSY, MONGODB_URI=address, COMMIT_TIMEOUT_S="2", COMMIT_QUEUE=str(QUEUE))
    yield running
    running.stop()


@pytest.fixture
def mates(dependent: Server, cable: Cable) -> Iterator[tuple[Person, Person]]:
    """Two with keys and a first message, so that nothing is left to look up."""
    mara, jonas = Person(dependent), Person(dependent)
    mara.befriend(jonas)
    assert mara.send(jonas, sealed())["seq"] == 1
    yield mara, jonas
    cable.heal()
    mara.leave()
    jonas.leave()


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_without_its_database_sotto_says_busy_and_goes_on_when_it_is_back(
    mates: tuple[Person, Person], cable: Cable, fault: str
) -> None:
    mara, jonas = mates
    message: dict[str, Any] = {"text": sealed(), "clientId": str(uuid.uuid4())}
    getattr(cable, fault)()
    answer = mara.send(jonas, **message)
    assert answer["error"]["code"] == "busy"
    assert answer["error"]["retryAfter"] > 0
    assert mara.line.refused("no such event") == "bad_request", "the line is alive"
    cable.heal()
    while not (answer := mara.send(jonas, **message))["ok"]:
        assert answer["error"]["code"] == "busy"
    assert [one["text"] for one in jonas.messages(mara)][1:] == [message["text"]]
    assert jonas.line.wait_for("receive_message", count=2)["text"] == message["text"]


def test_who_comes_while_the_database_hangs_is_told_so_and_is_let_in_when_it_is_back(
    mates: tuple[Person, Person], cable: Cable, dependent: Server
) -> None:
    mara, _ = mates
    cable.freeze()
    with pytest.raises(ConnectRefused, match="busy"):
        Line(dependent.origin, {"token": mara.token})
    cable.heal()

    def come() -> Line | None:
        with contextlib.suppress(ConnectRefused):
            return Line(dependent.origin, {"token": mara.token})
        return None

    line = wait_until(come, "to be let in")
    assert line.ask("user_connected", mara.id)["ok"]
    line.close()


def test_a_message_whose_write_seemed_to_fail_is_told_like_any_other(
    mates: tuple[Person, Person], cable: Cable, dependent: Server
) -> None:
    mara, jonas = mates
    text = sealed()
    cable.mute_after(text[:200].encode())
    asked = mara.line.emit("send_message", {"receiverId": jonas.id, "text": text, "type": "text"})
    wait_until(lambda: dependent.database().messages.find_one({"text": text}), "the message in the database")
    assert mara.line.acknowledged([asked]) == [], "the server does not know yet"
    cable.cut()
    cable.heal()
    assert mara.line.answer(asked)["seq"] == 2
    assert jonas.line.wait_for("receive_message", count=2)["text"] == text
    assert len(jonas.messages(mara)) == 2


def test_a_full_queue_refuses_at_once_and_what_waits_is_written_when_it_can_be(
    mates: tuple[Person, Person], cable: Cable, dependent: Server
) -> None:
    mara, jonas = mates
    tabs = [mara.connect() for _ in range(3 * QUEUE)]
    cable.freeze()
    texts = [sealed() for _ in tabs]
    asked = [
        tab.emit("send_message", {"receiverId": jonas.id, "text": text, "type": "text"})
        for tab, text in zip(tabs, texts, strict=True)
    ]
    answers = [tab.answer(number) for tab, number in zip(tabs, asked, strict=True)]
    assert {answer["error"]["code"] for answer in answers} == {"busy"}
    waiting = re.search(r"^sotto_commit_waiting (\S+)", dependent.ask("GET", "/metrics").text, re.MULTILINE)
    assert waiting
    assert float(waiting[1]) <= QUEUE
    cable.heal()
    while not (last := mara.send(jonas, sealed()))["ok"]:
        assert last["error"]["code"] == "busy"
    seqs = [one["seq"] for one in mara.messages(jonas)]
    assert seqs == sorted(set(seqs))


ROWS = [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("cursor", "age", "reached"), [(0, 0, 2), (0, 31, 5), (2, 0, 2), (3, 0, 5), (4, 0, 5), (5, 0, 5)]
)
def test_a_hole_is_waited_for_until_whoever_held_its_number_has_given_up(cursor: int, age: int, reached: int) -> None:
    rows = [{"seq": seq, "created_at": now() - timedelta(seconds=age)} for seq in ROWS if seq > cursor]
    assert history.settled(rows, cursor, timedelta(seconds=30), lambda _: timedelta(0)) == reached


def test_a_hole_below_a_row_from_the_future_is_waited_for_no_longer() -> None:
    ahead, void_after = timedelta(seconds=300), timedelta(seconds=30)
    rows = [{"seq": 2, "created_at": now() + ahead}, {"seq": 3, "created_at": now() + ahead}]
    seconds = 0.0
    known_for = partial(history.Holes(lambda: seconds).known_for, "a:b")
    assert history.settled(rows, 0, void_after, known_for) == 0
    seconds = 31.0
    assert history.settled(rows, 0, void_after, known_for) == 3
    rows[1]["created_at"] = now() - timedelta(seconds=31)
    assert history.settled(rows, 0, void_after, lambda _: timedelta(0)) == 3, "the later one got its number later"

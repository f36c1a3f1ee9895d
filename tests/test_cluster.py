"""Two units, Redis between them, nginx in front: one Sotto, whatever of it dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, expect

from chat import shared
from chat.models import conversation_id
from chat.presence import Identity
from chat.shared_presence import SharedPresence
from deploy.cluster import HOUSE, free_port
from tests.browser import connect
from tests.conftest import BUSY, Serve
from tests.doorway import doorway
from tests.fleet import Fleet
from tests.line import Line
from tests.people import Person
from tests.seals import sealed
from tests.waiting import PATIENCE_S, wait_until

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]


@pytest.fixture(scope="module")
def fleet(instance: Path) -> Iterator[Fleet]:
    """The Sotto of this file."""
    running = Fleet(instance, **BUSY)
    yield running
    running.stop()


@pytest.fixture
def apart(fleet: Fleet) -> Iterator[Pair]:
    """Two with keys, each at another unit."""
    mara, jonas = Person(fleet.units[0]), Person(fleet.units[1])
    mara.befriend(jonas)
    yield mara, jonas
    mara.leave()
    jonas.leave()


def received(line: Line) -> list[dict[str, Any]]:
    """The messages a line has brought, in the order they came."""
    return [payload[0] for event, payload in list(line.events) if event == "receive_message"]


def test_messages_typing_and_receipts_cross_from_unit_to_unit(apart: Pair) -> None:
    mara, jonas = apart
    first = mara.send(jonas, sealed("there"))
    assert jonas.line.wait_for("receive_message")["_id"] == first["id"]
    back = jonas.send(mara, sealed("and back"))
    assert (first["seq"], back["seq"]) == (1, 2)
    assert mara.line.wait_for("receive_message")["_id"] == back["id"]
    jonas.line.ask("message_read", {"senderId": mara.id, "upToSeq": 1})
    assert mara.line.wait_for("message_status")["status"] == "read"
    mara.line.ask("typing", {"receiverId": jonas.id, "isTyping": True})
    assert jonas.line.wait_for("display_typing")["isTyping"] is True


def test_a_burst_of_events_crosses_whole_and_in_order(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    # More at once than there are lines to Redis, each from a socket of its own.
    tabs = [Line(fleet.units[0].origin, {"token": mara.token}) for _ in range(120)]
    for turn in (True, False):
        for tab in tabs:
            tab.emit("typing", {"receiverId": jonas.id, "isTyping": turn})
    jonas.line.wait_for("display_typing", count=240)
    for tab in tabs:
        tab.close()
    signs = [news["isTyping"] for news in jonas.line.all("display_typing")]
    assert signs.count(True) == signs.count(False) == 120
    assert jonas.line.all("sync_again") == []


def test_who_is_at_the_other_unit_gets_what_a_unit_stored_and_died_before_it_told(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    jonas.line.ask("user_connected", {"customId": jonas.id, "sync": {}})
    # What such a unit leaves behind: a message in the database, and a sender that has no answer and asks again.
    text, client_id = sealed(), str(uuid.uuid4())
    row = {"_id": f"{mara.id}:{client_id}", "conversation": conversation_id(mara.id, jonas.id), "seq": 1}
    row |= {"sender": mara.id, "receiver": jonas.id, "type": "text", "text": text, "created_at": datetime.now(UTC)}
    fleet.database().messages.insert_one(row)
    assert mara.send(jonas, text, clientId=client_id)["seq"] == 1
    assert jonas.line.wait_for("receive_message")["_id"] == row["_id"]


def test_numbers_stay_unique_and_whole_whichever_unit_takes_the_message(apart: Pair) -> None:
    mara, jonas = apart
    numbers: list[int] = []

    def write(writer: Person, reader: Person) -> None:
        numbers.extend(writer.send(reader, sealed())["seq"] for _ in range(50))

    writers = [threading.Thread(target=write, args=pair) for pair in ((mara, jonas), (jonas, mara))]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert sorted(numbers) == list(range(1, 101))
    assert [one["seq"] for one in mara.messages(jonas)] == list(range(1, 101))
    for reader in (mara, jonas):
        wait_until(lambda reader=reader: len(received(reader.line)) == 50, "all messages of the other")


def test_a_message_sent_again_at_another_unit_is_one_message(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    again = {"clientId": str(uuid.uuid4())}
    text = sealed()
    first = mara.send(jonas, text, **again)
    elsewhere = Person(fleet.units[1], mara.username)
    assert elsewhere.send(jonas, text, **again) == first
    elsewhere.leave()
    assert len(mara.messages(jonas)) == 1


def test_somebody_at_two_units_is_gone_when_both_are_left(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    elsewhere = Person(fleet.units[0], jonas.username)
    elsewhere.line.ask("user_connected", jonas.id)
    seen = len(mara.line.events)
    jonas.leave()
    assert elsewhere.ask("GET", f"/api/chat/user/{mara.id}").json()["isOnline"] is True
    assert mara.ask("GET", f"/api/chat/user/{jonas.id}").json()["isOnline"] is True
    assert not [one for one in mara.line.events[seen:] if one[0] == "update_user_status"]
    elsewhere.leave()
    mara.line.wait_for("update_user_status", lambda news: not news["isOnline"])


def test_logging_out_at_one_unit_ends_the_sockets_at_the_other(fleet: Fleet, apart: Pair) -> None:
    mara, _ = apart
    elsewhere = Line(fleet.units[1].origin, {"token": mara.token})
    assert mara.ask("POST", "/api/auth/logout").status_code == 204
    wait_until(lambda: elsewhere.ended, "the end of the other socket")


def test_a_rate_is_for_a_person_and_not_for_a_worker(fleet: Fleet, serve: Serve) -> None:
    # The fleet's database, too: workers that share a Redis bury each other's dead, and tell whom that concerns.
    shared = {"REDIS_URL": fleet.cluster.redis_url, "MONGODB_URI": fleet.database_uri}
    shared |= {"EVENTS_PER_SECOND": "8", "LOGIN_LIMIT_PER_USERNAME": "5 per hour"}
    workers = [serve(**shared), serve(**shared)]
    mara = Person(workers[0])
    elsewhere = Line(workers[1].origin, {"token": mara.token})
    began = time.monotonic()
    numbers = [(line, line.emit("user_connected", mara.id)) for _ in range(30) for line in (mara.line, elsewhere)]
    answers = [line.answer(number) for line, number in numbers]
    seconds = time.monotonic() - began
    # Each worker grants two of the eight by itself, before it asks Redis; two apart would grant sixteen a second.
    assert sum(answer["ok"] for answer in answers) <= (8 + 2 * 2) * (seconds + 1)
    assert {answer["error"]["code"] for answer in answers if not answer["ok"]} == {"rate_limited"}
    statuses = [workers[n % 2].login(mara.username, "not the passphrase").status_code for n in range(8)]
    assert statuses.count(401) == 5
    assert statuses.count(429) == 3
    mara.leave()
    elsewhere.close()


def test_a_call_crosses_and_the_other_hears_when_its_unit_dies(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    assert mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": "offer", "callId": "c1"})["delivered"]
    assert jonas.line.wait_for("incoming_call")["from"] == mara.id
    assert jonas.line.ask("answer_call", {"to": mara.id, "signal": "answer", "callId": "c1"})["ok"]
    mara.line.wait_for("call_accepted")
    fleet.units[1].kill()
    fleet.units[1].start()
    wait_until(lambda: jonas.line.ended, "the end of the line")
    status = mara.line.wait_for("update_user_status", lambda news: not news["isOnline"])
    assert status["userId"] == jonas.id
    mara.line.wait_for("sync_again")  # the dead unit may have stored what it did not come to tell
    jonas.leave()
    assert jonas.line.ask("end_call", {"to": mara.id, "reason": "hung up"})["ok"], "the dead unit holds nothing"
    mara.line.wait_for("call_ended")


def test_who_left_while_redis_did_not_answer_is_gone_when_it_does(fleet: Fleet) -> None:
    here, there = (SharedPresence(shared.connect(fleet.cluster.redis_url), worker) for worker in ("here", "there"))
    mara = Identity("900000000001", "mara", "j1", time.time() + 60)
    here.enter("s1", mara)
    assert there.is_online(mara.custom_id)
    nowhere = shared.connect("redis://127.0.0.1:1/0")
    redis_client, here._shared = here._shared, nowhere
    assert here.leave("s1") == (mara, True)
    here._shared = redis_client
    assert there.is_online(mara.custom_id)
    assert here.say_again() == [mara.custom_id]
    assert not there.is_online(mara.custom_id)


def test_who_was_taken_for_dead_and_is_not_is_told_of_again(fleet: Fleet) -> None:
    here, there = (SharedPresence(shared.connect(fleet.cluster.redis_url), worker) for worker in ("here", "there"))
    mara = Identity("900000000002", "mara", "j2", time.time() + 60)
    here.enter("s1", mara)
    assert there.bury("here") == [mara.custom_id]
    assert here.restore() == [mara.custom_id]
    assert here.restore() == []
    assert there.is_online(mara.custom_id)
    here.leave("s1")


def test_redis_may_forget_everything(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    assert [mara.send(jonas, sealed())["seq"] for _ in range(3)] == [1, 2, 3]
    redis.Redis.from_url(fleet.cluster.redis_url).flushall()
    assert [one.send(other, sealed())["seq"] for one, other in ((jonas, mara), (mara, jonas))] == [4, 5]
    assert len(mara.messages(jonas)) == 5
    # Who is here comes back with the next heartbeat.
    wait_until(lambda: mara.ask("GET", f"/api/chat/user/{jonas.id}").json()["isOnline"], "presence to come back")


def test_without_redis_messages_are_kept_and_with_it_back_everybody_asks_for_them(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    assert mara.send(jonas, sealed())["seq"] == 1
    jonas.line.wait_for("receive_message")
    fleet.cluster.kill("redis")
    try:
        kept = [mara.send(jonas, sealed()) for _ in range(3)] + [jonas.send(mara, sealed()) for _ in range(3)]
        assert [one["seq"] for one in kept] == list(range(2, 8))
        assert len(received(jonas.line)) == 1, "the news did not cross"
        assert fleet.units[0].ask("GET", "/readyz").status_code == 503
    finally:
        fleet.cluster.start_redis()
    for person in (mara, jonas):
        person.line.wait_for("sync_again")
    answer = jonas.line.ask("user_connected", {"customId": jonas.id, "sync": {mara.id: 1}})
    assert answer["standing"][mara.id]["upToSeq"] == 7
    assert [one["seq"] for one in received(jonas.line)][-3:] == [2, 3, 4]
    assert mara.send(jonas, sealed())["seq"] == 8


def test_a_unit_that_ends_in_order_answers_what_it_took_and_sends_its_people_on(fleet: Fleet, apart: Pair) -> None:
    mara, jonas = apart
    sent = [mara.send(jonas, sealed()) for _ in range(5)]
    fleet.units[0].ask("GET", "/socket.io/?EIO=4&transport=polling")  # and never again: nobody waits for its poll
    fleet.cluster.signal("unit0", signal.SIGTERM)
    wait_until(lambda: mara.line.ended, "to be told to hang up")
    assert mara.line.frames[-1] == "1", "Engine.IO's end: clients come again by themselves"
    fleet.cluster.end("unit0")
    fleet.units[0].start()
    assert [one["_id"] for one in jonas.messages(mara)] == [one["id"] for one in sent if one["ok"]]
    mara.leave()
    assert mara.send(jonas, sealed())["ok"]


def test_what_nginx_says_by_itself_has_the_form_of_all_errors(fleet: Fleet) -> None:
    large = fleet.ask("POST", "/api/auth/login", data=b"x" * 1_100_000)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    for index in range(2):
        fleet.cluster.end(f"unit{index}")
    try:
        busy = fleet.ask("GET", "/api/chat/contacts")
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
        assert busy.headers["Retry-After"] == str(busy.json()["retryAfter"])
        page = fleet.ask("GET", "/", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
        assert "tries again by itself" in page.text
    finally:
        for unit in fleet.units:
            unit.start()
    wait_until(lambda: fleet.ask("GET", "/").ok, "nginx to try them again")


def test_two_browsers_come_back_by_nginx_when_their_units_are_replaced_one_by_one(
    fleet: Fleet, browser: Browser
) -> None:
    with doorway(browser, fleet.origin) as enter:
        mara, jonas = enter("mara"), enter("jonas")
        for one in (mara, jonas):
            one.tolerate("WebSocket connection", "ERR_CONNECTION", "status of 50")
        connect(mara, jonas)
        mara.write("before")
        expect(jonas.message("before")).to_have_count(1)
        for index in range(2):
            fleet.cluster.end(f"unit{index}")
            mara.write(f"while unit {index} is gone")
            expect(jonas.message(f"while unit {index} is gone")).to_have_count(1)
            fleet.units[index].start()
        jonas.write("and back")
        expected = ["before", "while unit 0 is gone", "while unit 1 is gone", "and back"]
        for one in (mara, jonas):
            expect(one.page.locator(".message .body")).to_have_text(expected)


def is_there(group: int) -> bool:
    """Whether any process of a group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_cluster_is_for_this_machine_alone_and_leaves_nothing_running_when_it_is_terminated(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "deploy.cluster", f"--port={port}", "--workers=1", f"--folder={tmp_path}"]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout
        assert any("1 units" in line for line in cluster.stdout), "it did not start"
        parts = [int(pid) for pid in Path(f"/proc/{cluster.pid}/task/{cluster.pid}/children").read_text().split()]
        try:
            assert len(parts) == 3, "redis, a unit and nginx"
            listens = re.findall(r"^ *listen (.*);", (tmp_path / "nginx.conf").read_text(), re.MULTILINE)
            assert listens == [f"127.0.0.1:{port}"]
            cluster.terminate()
            assert cluster.wait(PATIENCE_S) == 0
            assert not [part for part in parts if is_there(part)]
        finally:
            cluster.kill()
            for part in filter(is_there, parts):
                os.killpg(part, signal.SIGKILL)

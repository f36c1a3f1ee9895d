"""Messages: on the disk before they are acknowledged, once, in order, to whom they are for."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import socketio

from tests.conftest import Join
from tests.people import Person
from tests.seals import sealed
from tests.waiting import PATIENCE_S, wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def jonas(mara: Person, join: Join) -> Person:
    """The other one, with keys."""
    other = join()
    mara.know(other)
    other.know(mara)
    return other


def test_a_message_arrives_in_the_agreed_shape_and_is_acknowledged(mara: Person, jonas: Person) -> None:
    jonas.connect()
    text, client_id = sealed(), str(uuid.uuid4())
    ack = mara.send(jonas, text, clientId=client_id)
    assert ack.keys() == {"ok", "id", "seq", "createdAt"}
    assert (ack["ok"], ack["seq"]) == (True, 1)
    assert TIME.fullmatch(ack["createdAt"])
    assert jonas.line.wait_for("receive_message") == {
        "_id": ack["id"],
        "seq": 1,
        "senderId": mara.id,
        "receiverId": jonas.id,
        "type": "text",
        "text": text,
        "fileUrl": None,
        "fileName": None,
        "isRead": False,
        "createdAt": ack["createdAt"],
    }


def test_what_is_acknowledged_is_in_the_database(mara: Person, jonas: Person) -> None:
    text = sealed()
    ack = mara.send(jonas, text)
    kept = mara.server.database()["messages"].find_one({"_id": ack["id"]})
    assert kept.keys() == {"_id", "conversation", "seq", "sender", "receiver", "type", "text", "created_at"}
    assert (kept["sender"], kept["receiver"], kept["text"], kept["seq"]) == (mara.id, jonas.id, text, 1)


def test_every_tab_of_the_receiver_gets_it_and_so_do_the_senders_other_tabs(mara: Person, jonas: Person) -> None:
    tabs = [jonas.connect(), jonas.connect()]
    here, elsewhere = mara.connect(), mara.connect()
    ack = mara.send(jonas, sealed())
    message = tabs[0].wait_for("receive_message")
    assert tabs[1].wait_for("receive_message") == message
    assert elsewhere.wait_for("message_sent") == message
    here.settle()
    assert here.all("message_sent") == here.all("receive_message") == []
    assert message["_id"] == ack["id"]


def test_nobody_else_gets_it(mara: Person, jonas: Person, join: Join) -> None:
    stranger = join()
    stranger.connect()
    mara.send(jonas, sealed())
    stranger.line.settle()
    assert stranger.line.events == []


def test_numbers_count_each_conversation_in_both_directions(mara: Person, jonas: Person, join: Join) -> None:
    other = join()
    jonas.connect()
    assert [mara.send(jonas, sealed())["seq"] for _ in range(3)] == [1, 2, 3]
    assert jonas.send(mara, sealed())["seq"] == 4
    assert mara.send(other, sealed())["seq"] == 1
    assert mara.send(jonas, sealed())["seq"] == 5


def test_a_burst_from_both_sides_keeps_each_senders_order_without_holes(mara: Person, jonas: Person) -> None:
    texts = {person.id: [sealed(str(n)) for n in range(20)] for person in (mara, jonas)}

    def pour(sender: Person, receiver: Person) -> list[int]:
        numbers = [
            sender.line.emit("send_message", {"receiverId": receiver.id, "text": text, "type": "text"})
            for text in texts[sender.id]
        ]
        return [sender.line.answer(number)["seq"] for number in numbers]

    mara.connect()
    jonas.connect()
    with ThreadPoolExecutor(2) as both:
        seqs = list(both.map(pour, (mara, jonas), (jonas, mara)))
    assert sorted(seqs[0] + seqs[1]) == list(range(1, 41))
    assert seqs == [sorted(seqs[0]), sorted(seqs[1])]
    for receiver, sender in ((jonas, mara), (mara, jonas)):
        receiver.line.wait_for("receive_message", count=20)
        assert [message["text"] for message in receiver.line.all("receive_message")] == texts[sender.id]


def test_the_same_message_again_gets_the_same_answer_and_is_delivered_once(mara: Person, jonas: Person) -> None:
    jonas.connect()
    text, client_id = sealed(), str(uuid.uuid4())
    first = mara.send(jonas, text, clientId=client_id)
    assert mara.send(jonas, text, clientId=client_id) == first
    assert mara.send(jonas, text, clientId=client_id.upper()) == first
    jonas.line.settle()
    assert len(jonas.line.all("receive_message")) == 1
    assert len(mara.messages(jonas)) == 1


def test_the_same_message_twice_at_once_is_stored_once(mara: Person, jonas: Person) -> None:
    tabs = [mara.connect() for _ in range(4)]
    payload = {"receiverId": jonas.id, "text": sealed(), "clientId": str(uuid.uuid4())}
    with ThreadPoolExecutor(4) as at_once:
        acks = list(at_once.map(lambda tab: tab.ask("send_message", payload), tabs))
    assert all(ack == acks[0] for ack in acks)
    assert len(mara.messages(jonas)) == 1


def test_another_message_under_a_known_client_id_is_a_conflict(mara: Person, jonas: Person, join: Join) -> None:
    text, client_id = sealed(), str(uuid.uuid4())
    mara.send(jonas, text, clientId=client_id)
    other_text = {"receiverId": jonas.id, "text": sealed(), "clientId": client_id}
    third = join()
    mara.know(third)
    other_receiver = {"receiverId": third.id, "text": text, "clientId": client_id}
    assert mara.line.refused("send_message", other_text) == "conflict"
    assert mara.line.refused("send_message", other_receiver) == "conflict"
    with_file = {"receiverId": jonas.id, "text": text, "clientId": client_id, "type": "file", "fileName": "plan.json"}
    file = mara.ask("POST", "/api/upload", files={"file": ("sealed", b"sealed")}).json()
    assert mara.line.refused("send_message", with_file | {"fileUrl": file["fileUrl"]}) == "conflict"
    assert [message["text"] for message in mara.messages(jonas)] == [text]


def test_a_stranger_cannot_write(mara: Person, join: Join) -> None:
    stranger = join()
    assert stranger.line.refused("send_message", {"receiverId": mara.id, "text": sealed()}) == "forbidden"
    assert stranger.messages(mara) == []


def test_two_people_may_choose_the_same_client_id(mara: Person, jonas: Person) -> None:
    client_id = str(uuid.uuid4())
    assert mara.send(jonas, sealed(), clientId=client_id)["ok"]
    assert jonas.send(mara, sealed(), clientId=client_id)["ok"]


def test_who_was_away_gets_what_they_missed_in_order_and_once(mara: Person, jonas: Person) -> None:
    texts = [sealed(str(n)) for n in range(5)]
    for text in texts:
        mara.send(jonas, text)
    line = jonas.connect()
    line.settle()
    assert line.all("receive_message") == [], "nothing is pushed before the client says what it has"
    standing = line.ask("user_connected", {"customId": jonas.id, "sync": {mara.id: 2}})["standing"]
    assert [message["text"] for message in line.all("receive_message")] == texts[2:]
    assert standing[mara.id] == {"upToSeq": 5, "lastSeq": 5, "delivered": 0, "read": 0, "readByMe": 0}
    assert line.ask("user_connected", {"customId": jonas.id, "sync": {mara.id: 5}})["ok"]
    assert len(line.all("receive_message")) == 3


def test_a_client_that_forgot_everything_gets_what_it_never_reported(mara: Person, jonas: Person) -> None:
    texts = [sealed(str(n)) for n in range(4)]
    for text in texts:
        mara.send(jonas, text)
    line = jonas.connect()
    line.ask("message_received", {"senderId": mara.id, "upToSeq": 1})
    line.ask("user_connected", {"customId": jonas.id, "sync": {}})
    assert [message["text"] for message in line.all("receive_message")] == texts[1:]


def test_a_sync_brings_ones_own_messages_of_other_tabs_too(mara: Person, jonas: Person) -> None:
    mara.send(jonas, sealed())
    tab = mara.connect()
    tab.ask("user_connected", {"customId": mara.id, "sync": {jonas.id: 0}})
    assert [message["seq"] for message in tab.all("message_sent")] == [1]
    assert tab.all("receive_message") == []


def test_a_sync_of_much_comes_in_parts(mara: Person, join: Join) -> None:
    writers = [join() for _ in range(3)]
    large = sealed("x" * 25_000)
    for writer in writers:
        writer.know(mara)
        pair = ":".join(sorted((mara.id, writer.id)))
        rows = [
            {"_id": f"{writer.id}:{seq}", "conversation": pair, "seq": seq, "sender": writer.id, "receiver": mara.id}
            | {"type": "text", "text": large, "created_at": datetime.now(UTC)}
            for seq in range(1, 61)
        ]
        mara.server.database().messages.insert_many(rows)
    cursors = {writer.id: 0 for writer in writers}
    for _ in range(5):
        answer = mara.line.ask("user_connected", {"customId": mara.id, "sync": cursors})
        cursors |= {contact: standing["upToSeq"] for contact, standing in answer["standing"].items()}
        if not answer.get("more"):
            break
    assert answer.get("more") is None
    assert cursors == {writer.id: 60 for writer in writers}
    brought = mara.line.all("receive_message")
    assert len({message["_id"] for message in brought}) == len(brought)
    for writer in writers:
        # The newest, and of the older as many as one conversation may bring at once.
        assert [one["seq"] for one in brought if one["senderId"] == writer.id][-1] == 60


def test_nobody_syncs_as_somebody_else(mara: Person, jonas: Person) -> None:
    assert mara.line.refused("user_connected", {"customId": jonas.id, "sync": {}}) == "forbidden"
    assert mara.line.refused("user_connected", jonas.id) == "forbidden"


def test_receipts_reach_the_sender_once_and_never_run_backwards(mara: Person, jonas: Person) -> None:
    jonas.connect()
    for _ in range(3):
        mara.send(jonas, sealed())
    for event, seq in (("message_received", 3), ("message_received", 2), ("message_read", 2), ("message_read", 99)):
        assert jonas.line.ask(event, {"senderId": mara.id, "upToSeq": seq}) == {"ok": True}
    mara.line.wait_for("message_status", lambda news: (news["upToSeq"], news["status"]) == (3, "read"))
    assert mara.line.all("message_status") == [
        {"userId": jonas.id, "upToSeq": 3, "status": "delivered"},
        {"userId": jonas.id, "upToSeq": 2, "status": "read"},
        {"userId": jonas.id, "upToSeq": 3, "status": "read"},
    ]
    assert [message["isRead"] for message in mara.messages(jonas)] == [True] * 3


def test_what_is_read_is_delivered(mara: Person, jonas: Person) -> None:
    mara.send(jonas, sealed())
    jonas.line.ask("message_read", {"senderId": mara.id, "upToSeq": 1})
    standing = mara.line.ask("user_connected", {"customId": mara.id, "sync": {}})["standing"]
    assert standing[jonas.id] == {"upToSeq": 1, "lastSeq": 1, "delivered": 1, "read": 1, "readByMe": 0}


@pytest.mark.parametrize("when", ["midway", "after"])
def test_a_power_cut_loses_nothing_that_was_acknowledged(mara: Person, jonas: Person, when: str) -> None:
    server, line = mara.server, mara.connect()
    payloads = [
        {"receiverId": jonas.id, "text": sealed(str(n)), "type": "text", "clientId": str(uuid.uuid4())}
        for n in range(60)
    ]
    numbers = [line.emit("send_message", payload) for payload in payloads]
    line.answer(numbers[30] if when == "midway" else numbers[-1])
    server.kill()
    line.wait_for_end()
    acknowledged = line.acknowledged(numbers)
    assert 31 <= len(acknowledged) <= 60
    server.start()
    kept = {message["_id"]: message["seq"] for message in mara.messages(jonas)}
    assert {ack["id"]: ack["seq"] for ack in acknowledged}.items() <= kept.items()
    mara.leave()
    again = [mara.line.ask("send_message", payload) for payload in payloads]  # what an outbox does
    assert all(ack["ok"] for ack in again)
    rows = mara.messages(jonas)
    assert sorted(row["text"] for row in rows) == sorted(payload["text"] for payload in payloads)
    assert [row["seq"] for row in rows] == list(range(1, 61))
    assert [ack["seq"] for ack in again[: len(acknowledged)]] == [ack["seq"] for ack in acknowledged]


def test_a_client_of_the_older_kind_polls_first_and_is_served(mara: Person, jonas: Person) -> None:
    """No clientId, a bare `user_connected`, no callbacks, and the transport that is tried first is polling."""
    came: dict[str, list[object]] = {"receive_message": [], "error": [], "update_user_status": []}
    client = socketio.Client(reconnection=False)
    for event, news in came.items():
        client.on(event, news.append)
    client.connect(jonas.server.origin, auth={"token": jonas.token}, wait_timeout=PATIENCE_S)
    try:
        wait_until(lambda: client.transport() == "websocket", "the upgrade from polling")
        client.emit("user_connected", jonas.id)
        mara.connect()
        text = sealed()
        older = {"senderId": jonas.id, "receiverId": mara.id, "text": text, "type": "text", "timestamp": 1}
        client.emit("send_message", older)
        assert mara.line.wait_for("receive_message")["text"] == text
        client.emit("send_message", older)
        mara.line.wait_for("receive_message", count=2)  # without a clientId a repeat is a new message
        client.emit("send_message", older | {"text": "in clear"})
        wait_until(lambda: came["error"], "the refusal")
        assert came["error"] == [
            {
                "code": "validation",
                "message": "Messages must be encrypted: text is not a ciphertext envelope.",
                "errors": {"text": "Messages must be encrypted: text is not a ciphertext envelope."},
            }
        ]
        mara.send(jonas, sealed())
        wait_until(lambda: came["receive_message"], "the answer")
    finally:
        client.disconnect()

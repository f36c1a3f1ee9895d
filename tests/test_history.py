"""Reading what was written: by pages, by the two it belongs to alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Join, Serve
from tests.people import Person, Server
from tests.seals import sealed

FILLED = 60


@dataclass
class Past:
    """A long conversation: `texts` in order; `other` wrote every third."""

    one: Person
    other: Person
    texts: list[str]


@pytest.fixture(scope="module")
def past(server: Server) -> Past:
    """Sixty messages between two people; to be read, not changed."""
    one, other = Person(server), Person(server)
    texts = [sealed(str(n)) for n in range(FILLED)]
    for n, text in enumerate(texts):
        sender, receiver = (other, one) if n % 3 == 2 else (one, other)
        assert sender.send(receiver, text)["seq"] == n + 1
    return Past(one, other, texts)


def seqs(rows: list[dict[str, Any]]) -> list[int]:
    """Their numbers."""
    return [row["seq"] for row in rows]


def test_reading_history_has_a_limit(serve: Serve) -> None:
    mara = Person(serve(HISTORY_LIMIT="3 per minute"))
    query = {"user1": mara.id, "user2": "0" * 12}
    answers = [mara.ask("GET", "/api/chat/messages", params=query) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert answers[-1].json()["code"] == "rate_limited"


def test_history_is_the_same_for_both_oldest_first(past: Past) -> None:
    rows = past.one.messages(past.other)
    assert [row["text"] for row in rows] == past.texts
    assert seqs(rows) == list(range(1, FILLED + 1))
    assert past.other.messages(past.one) == rows
    assert rows[0].keys() == {
        *("_id", "seq", "senderId", "receiverId", "type"),
        *("text", "fileUrl", "fileName", "isRead", "createdAt"),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 10}, range(51, 61)),
        ({"before": 51, "limit": 10}, range(41, 51)),
        ({"before": 4, "limit": 10}, range(1, 4)),
        ({"before": 1}, range(0)),
        ({"before": 0}, range(0)),
        ({"before": 9999, "limit": 2}, range(59, 61)),
        ({"after": 0, "limit": 7}, range(1, 8)),
        ({"after": 55}, range(56, 61)),
        ({"after": 60}, range(0)),
        ({"after": 10, "before": 14}, range(11, 14)),
        ({"after": 10, "before": 30, "limit": 3}, range(11, 14)),
        ({"limit": 1000}, range(1, 61)),
    ],
    ids=str,
)
def test_a_page_is_what_was_asked_for(past: Past, query: dict[str, int], expected: range) -> None:
    assert seqs(past.one.messages(past.other, **query)) == list(expected)


def test_holes_in_the_numbers_are_stepped_over(mara: Person, jonas: Person) -> None:
    for _ in range(14):
        mara.send(jonas, sealed())
    lost = {"conversation": ":".join(sorted((mara.id, jonas.id))), "seq": {"$gt": 4, "$lte": 11}}
    assert mara.server.database()["messages"].delete_many(lost).deleted_count == 7
    assert seqs(mara.messages(jonas, before=13, limit=3)) == [3, 4, 12]
    assert seqs(mara.messages(jonas, after=3, limit=3)) == [4, 12, 13]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"before": -1}, {"after": "x"}, {"limit": "1.5"}], ids=str
)
def test_a_page_that_makes_no_sense_is_refused(mara: Person, jonas: Person, query: dict[str, Any]) -> None:
    answer = mara.ask("GET", "/api/chat/messages", params={"user1": mara.id, "user2": jonas.id} | query)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation")
    assert answer.json()["errors"].keys() == query.keys()


def test_a_third_person_reads_nothing(mara: Person, jonas: Person, join: Join) -> None:
    mara.send(jonas, sealed())
    third = join()
    answer = third.ask("GET", "/api/chat/messages", params={"user1": mara.id, "user2": jonas.id})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    fragment = third.ask("GET", f"/fragments/history/{mara.id}")
    assert fragment.status_code == 200
    assert "data-text" not in fragment.text


def test_a_conversation_nobody_began_is_empty(mara: Person, jonas: Person) -> None:
    assert mara.messages(jonas) == []
    assert mara.ask("GET", f"/fragments/history/{jonas.id}").text.strip() == ""


def test_the_page_of_rows_is_sealed_and_leads_to_the_one_above(past: Past) -> None:
    newest = past.one.ask("GET", f"/fragments/history/{past.other.id}").text
    assert re.findall(r'data-seq="(\d+)"', newest) == [str(n) for n in range(11, 61)]
    assert newest.count('"message sealed own"') == sum(1 for n in range(10, 60) if n % 3 != 2)
    (above,) = re.findall(r'hx-get="([^"]+)"', newest)
    first = past.one.ask("GET", above).text
    assert re.findall(r'data-seq="(\d+)"', first) == [str(n) for n in range(1, 11)]
    assert "hx-get" not in first
    assert "This is the beginning of your conversation." in first


def reseal(person: Person, message_id: str, text: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a replacement."""
    answer = person.ask("PUT", f"/api/chat/messages/{message_id}", json={"text": text})
    return answer.status_code, answer.json()


def test_the_sender_may_seal_a_message_anew(mara: Person, jonas: Person) -> None:
    ack, text = mara.send(jonas, sealed()), sealed()
    status, body = reseal(mara, ack["id"], text)
    assert status == 200
    assert body == {"message": jonas.messages(mara)[0]}
    assert (body["message"]["text"], body["message"]["seq"]) == (text, 1)
    assert body["message"]["createdAt"] == ack["createdAt"]


def test_nobody_else_may(mara: Person, jonas: Person, join: Join) -> None:
    text = sealed()
    ack = mara.send(jonas, text)
    status, body = reseal(jonas, ack["id"], sealed())
    assert (status, body["code"]) == (403, "forbidden")
    status, body = reseal(join(), ack["id"], sealed())
    assert (status, body["code"]) == (404, "not_found"), "a stranger does not even learn that it exists"
    assert mara.messages(jonas)[0]["text"] == text


def test_only_ciphertext_replaces_ciphertext(mara: Person, jonas: Person) -> None:
    text = sealed()
    ack = mara.send(jonas, text)
    status, body = reseal(mara, ack["id"], "in clear")
    assert (status, body["code"], list(body["errors"])) == (400, "validation", ["text"])
    assert mara.messages(jonas)[0]["text"] == text


def test_what_is_not_there_cannot_be_replaced(mara: Person) -> None:
    status, body = reseal(mara, "nothing", sealed())
    assert (status, body["code"]) == (404, "not_found")

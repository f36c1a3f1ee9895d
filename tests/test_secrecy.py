"""The server passes keys and keeps ciphertext: nothing else crosses it, and nothing else stays."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.people import PASSPHRASE, Person, Server
from tests.seals import KeyPair

WORDS = [
    "Meet me where we met last time.",
    "Das Passwort steht unter der Fußmatte 🔑",
    "<script>alert(document.cookie)</script>",
    'it\'s quoted: "so what" \\ and so on',
]


@dataclass
class Talk:
    """A whole conversation that took place: the two, their keys, and every frame either of them received."""

    one: Person
    other: Person
    pairs: tuple[KeyPair, KeyPair]
    frames: dict[str, list[str]]

    def secrets(self) -> set[str]:
        """What nobody but the two may ever see, in the forms it could be found in."""
        words = {
            form for word in WORDS for form in (word, json.dumps(word)[1:-1], json.dumps(list(word.encode()))[1:-1])
        }
        return words | {form.replace(" ", "") for form in words} | {pair.d for pair in self.pairs} | {PASSPHRASE}

    def public_parts(self) -> set[str]:
        """The coordinates of the public keys."""
        return {json.loads(pair.public)[axis] for pair in self.pairs for axis in ("x", "y")}


@pytest.fixture(scope="module")
def talk(server: Server) -> Talk:
    """They meet, exchange keys, write with and without being there, read, type, seal anew, call, and leave."""
    one, other = Person(server), Person(server)
    mine, theirs = one.befriend(other)
    first = [one.line, other.line]
    for word in WORDS[:2]:
        one.line.ask("typing", {"receiverId": other.id, "isTyping": True})
        assert one.send(other, mine.seal(word, theirs), clientId=str(uuid.uuid4()))["ok"]
    came = other.line.wait_for("receive_message", count=2)
    assert theirs.open(came["text"], mine) == WORDS[1]
    other.line.ask("message_read", {"senderId": one.id, "upToSeq": 2})
    other.leave()
    last = one.send(other, mine.seal(WORDS[2], theirs))
    assert (
        one.ask("PUT", f"/api/chat/messages/{last['id']}", json={"text": mine.seal(WORDS[3], theirs)}).status_code
        == 200
    )
    back = other.connect()
    back.ask("user_connected", {"customId": other.id, "sync": {one.id: 2}})
    assert theirs.open(back.all("receive_message")[0]["text"], mine) == WORDS[3]
    assert back.ask("call_user", {"userToCall": one.id, "signalData": theirs.seal(WORDS[0], mine)})["delivered"]
    one.line.wait_for("incoming_call")
    frames = {one.id: first[0].frames, other.id: first[1].frames + back.frames}
    return Talk(one, other, (mine, theirs), frames)


def documents(server: Server) -> Iterable[tuple[str, str]]:
    """Every document of every collection, as (collection, text)."""
    database = server.database()
    for name in database.list_collection_names():
        for document in database[name].find():
            yield name, json.dumps(document, default=str, ensure_ascii=False)


def found_in(text: str, secrets: set[str]) -> list[str]:
    """Which of these a text holds, also with the spaces gone."""
    bare = text.replace(" ", "")
    return [secret for secret in secrets if secret in text or secret in bare]


def test_the_talk_was_seen(talk: Talk) -> None:
    """Or else what follows would hold of anything."""
    assert len("".join(talk.frames[talk.other.id])) > 1000
    kept = [text for name, text in documents(talk.one.server) if name == "messages" and talk.one.id in text]
    assert len(kept) == 3
    assert any(found_in(frame, talk.public_parts()) for frame in talk.frames[talk.other.id]), "keys cross the socket"
    assert found_in(f'["{PASSPHRASE}", {json.dumps(list(WORDS[0].encode()))}]', talk.secrets()), "the search finds"


def test_no_frame_carries_words_private_keys_or_passphrases(talk: Talk) -> None:
    for frames in talk.frames.values():
        for frame in frames:
            assert found_in(frame, talk.secrets()) == []


def test_no_document_holds_words_keys_or_passphrases(talk: Talk) -> None:
    names = set()
    for name, text in documents(talk.one.server):
        names.add(name)
        assert found_in(text, talk.secrets() | talk.public_parts()) == [], name
    assert {"users", "conversations", "messages"} <= names


def test_the_database_knows_no_field_for_a_key(talk: Talk) -> None:
    def members(value: Any) -> Iterable[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield name
                yield from members(inner)

    database = talk.one.server.database()
    for collection in ("users", "conversations", "messages", "key_requests", "invites", "revoked_tokens"):
        for document in database[collection].find():
            assert not [name for name in members(document) if "key" in name.lower() and name != "username_key"]


def test_the_log_names_no_words_keys_or_passphrases(talk: Talk) -> None:
    log = talk.one.server.log.read_text()
    assert found_in(log, talk.secrets() | talk.public_parts()) == []
    assert talk.one.token not in log


def test_history_brings_the_ciphertext_that_was_sent(talk: Talk) -> None:
    mine, theirs = talk.pairs
    opened = [theirs.open(row["text"], mine) for row in talk.other.messages(talk.one)]
    assert opened == [WORDS[0], WORDS[1], WORDS[3]]
    page = talk.other.ask("GET", f"/fragments/history/{talk.one.id}").text
    assert found_in(page, talk.secrets()) == []

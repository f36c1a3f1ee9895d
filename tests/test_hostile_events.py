"""What comes over the socket from somebody who means harm, or whose program is broken: refused in words, each time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import unharmed
from tests.line import Line
from tests.people import Person, Server
from tests.seals import KeyPair, sealed

NOBODY = "000000000000"
KIB = 1024
DEEP = "[" * 100_000
UNREADABLE = {"code": "bad_request", "message": "The event could not be read."}


@pytest.fixture(scope="module")
def pair(server: Server) -> tuple[Person, Person]:
    """Somebody who misbehaves, and their contact."""
    mallory, victim = Person(server), Person(server)
    mallory.befriend(victim)
    return mallory, victim


@pytest.fixture
def mallory(pair: tuple[Person, Person]) -> Iterator[Person]:
    """The one who misbehaves; afterwards the server is unharmed and still serves both."""
    with unharmed(pair[0].server, *pair):
        yield pair[0]


@pytest.fixture
def line(mallory: Person) -> Iterator[Line]:
    """A socket to misbehave on; it is still good afterwards."""
    line = mallory.connect()
    yield line
    line.settle()
    line.close()


@pytest.fixture
def victim(pair: tuple[Person, Person]) -> Person:
    """The other one."""
    return pair[1]


def good_payloads(me: str, other: str) -> dict[str, dict[str, Any]]:
    """A payload of the right shape for every event."""
    return {
        "user_connected": {"customId": me, "sync": {other: 0}},
        "request_key_exchange": {"targetUserId": other, "publicKey": KeyPair.fresh().public},
        "respond_key_exchange": {"targetUserId": other, "publicKey": KeyPair.fresh().public, "accepted": True},
        "cancel_key_exchange": {"targetUserId": other},
        "send_message": {"receiverId": other, "senderId": me, "text": sealed(), "type": "text", "clientId": NEW_ID},
        "message_received": {"senderId": other, "upToSeq": 1},
        "message_read": {"senderId": other, "upToSeq": 1},
        "typing": {"receiverId": other, "isTyping": True},
        "call_user": {"userToCall": other, "signalData": {"any": "shape"}, "callId": "1"},
        "answer_call": {"to": other, "signal": {"any": "shape"}, "callId": "1"},
        "ice_candidate": {"target": other, "candidate": None, "callId": "1"},
        "end_call": {"to": other, "reason": "declined"},
    }


NEW_ID = str(uuid.uuid4())
SHAPES = good_payloads(NOBODY, NOBODY)
EVENTS = list(SHAPES)
OF_ANY_SHAPE = {"signalData", "signal", "candidate"}
FREE_TEXT = {"callId", "reason"}
FIELDS = [(event, field) for event, shape in SHAPES.items() for field in shape if field not in OF_ANY_SHAPE]
OPTIONAL = {
    *(("user_connected", "sync"), ("send_message", "type"), ("send_message", "senderId"), ("send_message", "clientId")),
    *((event, field) for event in EVENTS for field in FREE_TEXT),
}
REQUIRED = [(event, field) for event, shape in SHAPES.items() for field in shape if (event, field) not in OPTIONAL]
NOT_A_PAYLOAD = [None, 5, 1.5, True, "words", [], [[]], {}, {"$gt": ""}, {"$where": "1"}, "\ud800", "\x00", "9" * 13]
NOT_A_VALUE = [5.5, -1, "words ", {"$gt": ""}, {"$ne": None}, ["x"], [], "\ud800", "\x00", "$where", "x" * 5000]


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_no_payload_is_refused(line: Line, event: str) -> None:
    for payload in NOT_A_PAYLOAD:
        assert line.refused(event, payload) == "validation", payload
    assert line.refused(event) == "validation"


@pytest.mark.parametrize(("event", "field"), FIELDS)
def test_what_is_no_value_is_refused(mallory: Person, victim: Person, line: Line, event: str, field: str) -> None:
    good = good_payloads(mallory.id, victim.id)[event]
    for value in NOT_A_VALUE:
        if field not in FREE_TEXT or value not in ("words ", "\x00", "$where"):
            assert line.refused(event, good | {field: value}) == "validation", value


@pytest.mark.parametrize(("event", "field"), REQUIRED)
def test_a_missing_field_is_refused_by_name(
    mallory: Person, victim: Person, line: Line, event: str, field: str
) -> None:
    good = good_payloads(mallory.id, victim.id)[event]
    answer = line.ask(event, {name: value for name, value in good.items() if name != field})
    assert answer["error"]["code"] == "validation"
    assert list(answer["error"]["errors"]) == [field]


@pytest.mark.parametrize("event", EVENTS)
def test_too_much_is_refused_and_not_cut_off(mallory: Person, victim: Person, line: Line, event: str) -> None:
    good = good_payloads(mallory.id, victim.id)[event]
    assert line.refused(event, good | {"more": "m" * 200 * KIB}) == "too_large"
    assert line.refused(event, good | {"more": [0] * 100_000}) == "too_large"
    assert line.refused(event, good | {"more": json.loads("[" * 500 + "]" * 500)}) == "too_large"


def test_the_longest_text_fits_and_one_more_does_not(mallory: Person, victim: Person, line: Line) -> None:
    def of_length(size: int) -> str:
        head, tail = '{"iv":[0,0,0,0,0,0,0,0,0,0,0,0],"content":[', "]}"
        body = "255," * ((size - len(head) - len(tail)) // 4)
        text = head + body[:-1] + tail
        return text + " " * (size - len(text))

    good = {"receiverId": victim.id, "type": "text"}
    assert line.refused("send_message", good | {"text": of_length(124 * KIB + 1)}) == "too_large"
    assert line.ask("send_message", good | {"text": of_length(124 * KIB)})["ok"]


def test_a_frame_over_the_transports_limit_ends_the_line_and_nothing_else(mallory: Person) -> None:
    doomed, other = mallory.connect(), mallory.connect()
    doomed.send_frame(f'421["typing","{"x" * 1_100_000}"]')
    doomed.wait_for_end()
    other.settle()


ENVELOPE = {"iv": [1] * 12, "content": [2] * 16}
NOT_SEALED = {
    "words": "in clear",
    "empty": "",
    "number": "5",
    "list": "[]",
    "null": "null",
    "broken": '{"iv":',
    "short iv": json.dumps(ENVELOPE | {"iv": [1] * 11}),
    "long iv": json.dumps(ENVELOPE | {"iv": [1] * 13}),
    "no room for the tag": json.dumps(ENVELOPE | {"content": [2] * 15}),
    "no content": json.dumps({"iv": [1] * 12}),
    "beyond a byte": json.dumps(ENVELOPE | {"content": [256] * 16}),
    "below a byte": json.dumps(ENVELOPE | {"content": [-1] * 16}),
    "booleans for bytes": json.dumps(ENVELOPE | {"content": [True] * 16}),
    "fractions for bytes": json.dumps(ENVELOPE | {"content": [2.0] * 16}),
    "text for bytes": json.dumps(ENVELOPE | {"content": "in clear, as long as you like"}),
    "words for bytes": json.dumps(ENVELOPE | {"content": ["in clear"] * 16}),
    "company": json.dumps(ENVELOPE | {"note": "in clear"}),
    "a member twice": '{"iv": "in clear", ' + json.dumps(ENVELOPE)[1:],
    "something behind": json.dumps(ENVELOPE) + " in clear",
    "nested": json.dumps(json.dumps(ENVELOPE)),
    "deep": "[" * 20_000,
}


@pytest.mark.parametrize("text", NOT_SEALED.values(), ids=NOT_SEALED.keys())
def test_what_is_not_sealed_is_not_taken(mallory: Person, victim: Person, line: Line, text: str) -> None:
    before = len(mallory.messages(victim))
    assert line.refused("send_message", {"receiverId": victim.id, "text": text, "type": "text"}) == "validation"
    assert len(mallory.messages(victim)) == before


FRAMES = [
    *(
        "42",
        "42[]",
        "42{}",
        "42null",
        '42"typing"',
        "42[1]",
        "42[null]",
        '42[{"a":1}]',
        '42[["typing"]]',
        '42["typing"',
    ),
    *('42["connect"]', '42["connect",{"token":"x"}]', '42["disconnect"]', '42["*"]', '42["*","typing",{}]'),
    *('42["typing",NaN]', '42["typing",Infinity]', '42["typing",1e999]', f'42["typing",{"9" * 5000}]'),
    *("42" + DEEP, f'42["typing",{DEEP}', "42" + "x" * 900_000, f'42{"9" * 101}["typing"]', '42/other,["typing"]'),
    *(
        "45",
        '451-["typing",{"_placeholder":true,"num":0}]',
        '459999999999-["typing"]',
        '450-["typing"]',
        "46",
        "461-[]",
    ),
    *(
        "44",
        "44{}",
        "47",
        "48",
        "4",
        "4x",
        "4[]",
        '4{"a":1}',
        "7",
        "9",
        "x",
        "",
        "\x1e",
        '42["a"]\x1e42["b"]',
        "b4",
        "bAAAA",
    ),
    *(b"", b"\x04\x00", b'42["typing"]', b"\xff" * 100),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: repr(frame)[:40])
def test_a_frame_that_cannot_be_read_is_answered_so(line: Line, frame: str | bytes) -> None:
    line.send_frame(frame)
    line.settle()
    assert line.all("error") == [UNREADABLE]


def test_a_frame_that_cannot_be_read_is_acknowledged_where_it_asks_for_it(line: Line) -> None:
    line.send_frame('427["typing",NaN]')
    assert line.answer(7) == {"ok": False, "error": UNREADABLE}


def test_nobody_can_play_the_servers_own_events(mallory: Person, victim: Person, line: Line) -> None:
    line.send_frame(f'42["connect",null,{json.dumps({"token": victim.token})}]')
    line.send_frame('42["disconnect"]')
    line.settle()
    assert mallory.ask("GET", f"/api/chat/user/{mallory.id}").json()["isOnline"] is True
    assert line.ask("typing", {"receiverId": victim.id, "isTyping": True})["ok"], "still the same person"


@pytest.mark.parametrize("event", ["no such event", "message", "json", "receive_message", "logged_out", "error", ""])
def test_an_event_nobody_knows_is_refused(line: Line, event: str) -> None:
    assert line.refused(event, {}) == "bad_request"


def test_a_second_connect_on_one_line_changes_nothing(victim: Person, line: Line) -> None:
    line.send_frame("40" + json.dumps({"token": victim.token}))
    line.send_frame("40/other,{}")
    line.settle()
    assert [frame for frame in line.frames if frame.startswith("44")] == [
        '44"Unable to connect"',
        '44/other,"Unable to connect"',
    ]
    assert line.refused("user_connected", victim.id) == "forbidden"


def test_nobody_speaks_in_anothers_name(victim: Person, line: Line) -> None:
    sent = {"senderId": victim.id, "receiverId": victim.id, "text": sealed()}
    assert line.refused("send_message", sent) == "forbidden"
    assert line.refused("user_connected", {"customId": victim.id, "sync": {}}) == "forbidden"


def test_nobody_writes_to_nobody_or_to_themselves(mallory: Person, line: Line) -> None:
    assert line.refused("send_message", {"receiverId": NOBODY, "text": sealed()}) == "not_found"
    assert line.refused("send_message", {"receiverId": mallory.id, "text": sealed()}) == "validation"


@pytest.mark.parametrize("kind", ["audio", "image", "video", "file"])
@pytest.mark.parametrize(
    "url", [None, "", "https://evil.example/x", "/uploads/", "/uploads/" + "A" * 32, "/uploads/../app.py"]
)
def test_a_file_that_is_not_here_is_not_sent(victim: Person, line: Line, kind: str, url: str | None) -> None:
    sent = {"receiverId": victim.id, "text": "", "type": kind, "fileUrl": url}
    assert line.refused("send_message", sent) == "validation"


def test_strangers_reach_nobody_with_calls_typing_or_receipts(mallory: Person, victim: Person, line: Line) -> None:
    stranger = Person(mallory.server)
    bystander = stranger.connect()
    payloads = good_payloads(mallory.id, stranger.id)
    for event, code in (
        ("call_user", "forbidden"),
        ("typing", "forbidden"),
        ("answer_call", "not_asked"),
        ("ice_candidate", "not_asked"),
        ("end_call", "not_asked"),
        ("respond_key_exchange", "not_asked"),
    ):
        assert line.refused(event, payloads[event]) == code
    assert line.ask("message_read", payloads["message_read"]) == {"ok": True}
    bystander.settle()
    assert bystander.events == []
    stranger.leave()

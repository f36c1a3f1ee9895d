"""WebSocket frames on the server's side: read as the library reads them, whole or in pieces, within bounds."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eventlet.websocket import RFC6455WebSocket

from deploy.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FAILED,
    NOT_UTF8,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    Message,
    Reader,
    closing,
    frame,
    unmask,
)

LIMIT = 100_000
DICE = random.Random(5)


def sent(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    first = (0x80 if final else 0) | reserved << 4 | opcode
    length = (
        bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
    )
    if not masked:
        return bytes((first,)) + length + payload
    key = DICE.randbytes(4)
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes((first, length[0] | 0x80)) + length[1:] + key + body


def read(*chunks: bytes, limit: int = LIMIT) -> list[Message]:
    """What a Reader makes of these bytes."""
    reader = Reader(limit)
    return [message for chunk in chunks for message in reader.feed(chunk)]


class Wire:
    """A socket for the library: it reads from bytes, and remembers what is written."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.written = b""

    def recv(self, size: int) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    def sendall(self, data: bytes) -> None:
        self.written += data

    def shutdown(self, _how: int) -> None:
        pass

    close = shutdown


def library_reads(data: bytes) -> list[str | bytes]:
    """The messages the library finds in the same bytes."""
    wire: Any = Wire(data)
    websocket = RFC6455WebSocket(wire, {}, max_frame_length=LIMIT)
    messages = []
    while (message := websocket.wait()) is not None:
        messages.append(message)
    return messages


def conversation() -> bytes:
    """Some messages, a few of them in fragments with control frames between."""
    data = b""
    for _ in range(DICE.randrange(1, 8)):
        text = DICE.random() < 0.7
        size = DICE.choice((0, 1, 5, 125, 126, 300, 65535, 65536))
        payload = ("aß€😀" * size)[:size].encode() if text else DICE.randbytes(size)
        payload = payload[:LIMIT] if not text else payload[: LIMIT // 4 * 4].decode(errors="ignore").encode()
        cuts = sorted(DICE.randrange(len(payload) + 1) for _ in range(DICE.choice((0, 0, 1, 3))))
        parts = [payload[one:other] for one, other in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for at, part in enumerate(parts):
            opcode = CONTINUATION if at else TEXT if text else BINARY
            data += sent(opcode, part, final=at == len(parts) - 1)
            if DICE.random() < 0.3:
                data += sent(DICE.choice((PING, PONG)), DICE.randbytes(DICE.randrange(126)))
    return data


def test_unmasking_is_what_the_library_does_byte_by_byte() -> None:
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 125, 1000, 4099):
        payload, key = DICE.randbytes(size), DICE.randbytes(4)
        assert unmask(payload, key) == RFC6455WebSocket._apply_mask(payload, key)


def test_messages_are_what_the_library_finds_however_they_arrive() -> None:
    for _ in range(60):
        data = conversation()
        expected = library_reads(data)
        cuts = sorted(DICE.randrange(len(data) + 1) for _ in range(DICE.choice((0, 1, 10))))
        chunks = [data[one:other] for one, other in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert [payload for opcode, payload in read(*chunks) if opcode in (TEXT, BINARY)] == expected


def test_a_message_may_come_byte_by_byte() -> None:
    data = sent(TEXT, b"4" * 300, final=False) + sent(CONTINUATION, "ü".encode())
    assert read(*(bytes((byte,)) for byte in data)) == [(TEXT, "4" * 300 + "ü")]


def test_control_frames_come_between_the_fragments_of_a_message() -> None:
    data = sent(TEXT, b"one, ", final=False) + sent(PING, b"here?") + sent(CONTINUATION, b"two")
    assert read(data) == [(PING, b"here?"), (TEXT, "one, two")]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (sent(TEXT, b"clear", masked=False), PROTOCOL_ERROR),
        (sent(TEXT, b"x", reserved=4), PROTOCOL_ERROR),
        (sent(3, b"x"), PROTOCOL_ERROR),
        (sent(0xB, b"x"), PROTOCOL_ERROR),
        (sent(CONTINUATION, b"of nothing"), PROTOCOL_ERROR),
        (sent(TEXT, b"one", final=False) + sent(TEXT, b"two"), PROTOCOL_ERROR),
        (sent(PING, b"", final=False), PROTOCOL_ERROR),
        (sent(PING, b"x" * 126), PROTOCOL_ERROR),
        (sent(TEXT, b"\xff"), NOT_UTF8),
        (sent(TEXT, "\ud800".encode(errors="surrogatepass")), NOT_UTF8),
        (sent(TEXT, b"\xc3", final=False) + sent(CONTINUATION, b"("), NOT_UTF8),
        (sent(TEXT, b"x" * 1001), TOO_BIG),
        (sent(TEXT, b"x" * 600, final=False) + sent(CONTINUATION, b"x" * 600), TOO_BIG),
        (b"\x81\xff" + (1 << 62).to_bytes(8) + b"mask", TOO_BIG),
    ],
)
def test_what_breaks_the_protocol_is_told_with_its_status(data: bytes, status: int) -> None:
    good = sent(TEXT, b"before")
    assert read(good + data, limit=1000) == [(TEXT, "before"), (FAILED, status)]


def test_too_long_a_frame_is_refused_before_it_has_come() -> None:
    assert read(sent(TEXT, b"x" * 1001)[:14], limit=1000) == [(FAILED, TOO_BIG)]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_to_clients_are_those_of_the_library(size: int) -> None:
    wire: Any = Wire(b"")
    websocket = RFC6455WebSocket(wire, {})
    websocket.send("x" * size)
    websocket.send(b"x" * size)
    assert frame(TEXT, b"x" * size) + frame(BINARY, b"x" * size) == wire.written


def test_a_close_says_why_or_nothing() -> None:
    assert closing(TOO_BIG) == b"\x88\x02" + TOO_BIG.to_bytes(2)
    assert closing(0) == b"\x88\x00"
    assert read(sent(CLOSE, TOO_BIG.to_bytes(2))) == [(CLOSE, TOO_BIG.to_bytes(2))]

"""WebSocket frames on the server's side (RFC 6455), without any input or output: bytes in, messages out."""

from __future__ import annotations

from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
# Not an opcode: the client broke the protocol, and the payload is the status to close with.
FAILED: Final = -1

FINAL = 0x80
RESERVED = 0x70
MASKED = 0x80
OPCODE = 0x0F
WHOLE_TEXT = FINAL | TEXT
MEDIUM = 126
LARGE = 127
MAX_CONTROL_BYTES = 125
MASK_BYTES = 4

# Section 7.4.1.
NORMAL = 1000
PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_BIG = 1009

Message = tuple[int, str | bytes | int]


def unmask(payload: bytes, key: bytes) -> bytes:
    """`payload` XOR the repeated 4-byte `key` (section 5.3), as one operation on two large integers."""
    size = len(payload)
    mask = (key * (size // MASK_BYTES + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(size)


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked frame."""
    size = len(payload)
    if size < MEDIUM:
        return bytes((FINAL | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((FINAL | opcode, MEDIUM)) + size.to_bytes(2) + payload
    return bytes((FINAL | opcode, LARGE)) + size.to_bytes(8) + payload


def closing(status: int) -> bytes:
    """A close frame; 0 says nothing about the reason."""
    return frame(CLOSE, status.to_bytes(2) if status else b"")


class _Violation(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Reader:
    """Takes a client's bytes in pieces of any size; no frame and no message may be longer than `limit` bytes."""

    __slots__ = ("_limit", "_needed", "_opcode", "_parts", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: bytes | bytearray = b""
        self._needed = 0  # bytes of _rest before anything can be made of it
        self._opcode = 0  # of the message whose fragments are in _parts
        self._parts: bytearray | None = None

    def feed(self, data: bytes) -> list[Message]:
        """What `data` completes, in order: (TEXT, str), (BINARY | PING | CLOSE, bytes), at the end (FAILED, status)."""
        if self._rest:
            if not isinstance(self._rest, bytearray):
                self._rest = bytearray(self._rest)
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data, self._rest = bytes(self._rest), b""
        messages: list[Message] = []
        try:
            used = self._read(data, messages)
        except _Violation as fault:
            messages.append((FAILED, fault.status))
        else:
            self._rest = data[used:]
        return messages

    def _read(self, data: bytes, messages: list[Message]) -> int:
        """Append what is complete to `messages`; how many bytes that took."""
        at, end = 0, len(data)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            size = second & ~MASKED
            start = at + 2 + MASK_BYTES
            if size >= MEDIUM:
                start += 2 if size == MEDIUM else 8
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start - MASK_BYTES])
            if first != WHOLE_TEXT or self._parts is not None or not second & MASKED or size > self._limit:
                self._check(first, second, size)
            if end < start + size:
                self._needed = start - at + size
                return at
            payload = unmask(data[start : start + size], data[start - MASK_BYTES : start])
            at = start + size
            if first == WHOLE_TEXT:
                messages.append((TEXT, _text(payload)))
            else:
                self._take(first, payload, messages)
        self._needed = 0
        return at

    def _check(self, first: int, second: int, size: int) -> None:
        opcode = first & OPCODE
        if first & RESERVED or not second & MASKED:
            raise _Violation(PROTOCOL_ERROR)
        if opcode >= CLOSE:
            if opcode > PONG or not first & FINAL or size > MAX_CONTROL_BYTES:
                raise _Violation(PROTOCOL_ERROR)
            return
        if opcode > BINARY or (opcode == CONTINUATION) != (self._parts is not None):
            raise _Violation(PROTOCOL_ERROR)
        if size + len(self._parts or b"") > self._limit:
            raise _Violation(TOO_BIG)

    def _take(self, first: int, payload: bytes, messages: list[Message]) -> None:
        opcode = first & OPCODE
        if opcode >= CLOSE:
            if opcode != PONG:
                messages.append((opcode, payload))
            return
        if self._parts is None:
            self._opcode, self._parts = opcode, bytearray()
        self._parts += payload
        if first & FINAL:
            whole, self._parts = bytes(self._parts), None
            messages.append((self._opcode, _text(whole) if self._opcode == TEXT else whole))


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as fault:
        raise _Violation(NOT_UTF8) from fault

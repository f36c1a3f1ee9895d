"""WebSocket frames (RFC 6455, 5.2) as a client writes and reads them, with little work for each."""

from __future__ import annotations

import os

TEXT = 0x81
MEDIUM = 126
LARGE = 127
MASKED = 0x80


def masked(text: str) -> bytes:
    """One text frame from a client."""
    payload = text.encode()
    size = len(payload)
    if size < MEDIUM:
        head = bytes((TEXT, MASKED | size))
    elif size < 1 << 16:
        head = bytes((TEXT, MASKED | MEDIUM)) + size.to_bytes(2)
    else:
        head = bytes((TEXT, MASKED | LARGE)) + size.to_bytes(8)
    key = os.urandom(4)
    mask = (key * (size // 4 + 1))[:size]
    return head + key + (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(size)


def split(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The payloads of the complete frames from a server at the start of `buffer`, and the rest."""
    payloads = []
    at, end = 0, len(buffer)
    while end - at >= 2:
        size, start = buffer[at + 1], at + 2
        if size >= MEDIUM:
            width = 2 if size == MEDIUM else 8
            if end < start + width:
                break
            size = int.from_bytes(buffer[start : start + width])
            start += width
        if end < start + size:
            break
        payloads.append(buffer[start : start + size])
        at = start + size
    return payloads, buffer[at:]

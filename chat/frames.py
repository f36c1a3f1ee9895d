"""Frames no honest client sends: read as one event that is refused in words, where the libraries would raise.

An exception inside the transport ends the line without an answer, and leaves its socket among the present until the
next ping is missed. Protocols: Engine.IO 4 below, Socket.IO 5 above it.
"""

from __future__ import annotations

import json
from typing import Any

import engineio.packet
import engineio.socket
import orjson
import socketio.packet
from engineio.exceptions import ContentTooLongError, UnknownPacketError

# What a frame that cannot be read is read as: an event of this name, answered like any other bad input.
MALFORMED = "malformed"
MALFORMED_FRAME = f'{socketio.packet.EVENT}["{MALFORMED}"]'
# The server's own events, and its name for all others: handlers are bound to them, but not for clients to call.
# What may wait for a client that polls; more than a sync brings (chat/history.py).
MAX_UNPOLLED_CHARS = 16 << 20
RESERVED = ("connect", "disconnect", "*")

# What json does not write, orjson shall not write in a way of its own.
ONLY_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS

_decode_frame = engineio.packet.Packet.decode
_handle_post = engineio.socket.Socket.handle_post_request
_send_packet = engineio.socket.Socket.send
_poll_packets = engineio.socket.Socket.poll


def _refuse_number(spelled: str) -> float:
    raise ValueError(f"{spelled} is not JSON")


def _finite(spelled: str) -> float:
    number = float(spelled)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large a number")
    return number


class FrameJSON:
    """The JSON of socket frames: what it reads, it can also write, to any browser."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Compact JSON; `separators` and the like from the caller are ignored."""
        try:
            return orjson.dumps(value, option=ONLY_JSON).decode()
        except TypeError:  # half a surrogate pair, say, which only an escape can spell
            return json.dumps(value, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        """The value; broken or too deeply nested text reads as the event MALFORMED."""
        try:
            return orjson.loads(text)
        except ValueError:
            pass  # it is not JSON, or goes beyond what is quickly read: half surrogate pairs, for one
        try:
            return json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
        except (ValueError, RecursionError):
            return [MALFORMED]


class EventPacket(socketio.packet.Packet):  # type: ignore[misc]
    """A Socket.IO packet without attachments, of the one namespace there is; anything else is MALFORMED."""

    json = FrameJSON
    uses_binary_events = False

    def decode(self, encoded_packet: Any) -> int:
        """Read a frame; 0, the number of attachments to wait for."""
        try:
            super().decode(encoded_packet)
            readable = self._is_readable()
        except (ValueError, TypeError):
            readable = False
        if not readable:
            self.packet_type, self.namespace, self.data = socketio.packet.EVENT, None, [MALFORMED]
        return 0

    def _is_readable(self) -> bool:
        if self.packet_type != socketio.packet.EVENT:
            return self.packet_type in (socketio.packet.CONNECT, socketio.packet.DISCONNECT, socketio.packet.ACK)
        return (
            self.namespace in (None, "/")
            and isinstance(self.data, list)
            and bool(self.data)
            and isinstance(self.data[0], str)
            and self.data[0] not in RESERVED
        )


def _decode(self: Any, encoded_packet: Any) -> None:
    try:
        _decode_frame(self, encoded_packet)
        readable = self.packet_type < len(engineio.packet.packet_names)
    except (ValueError, RecursionError):
        readable = False
    if not readable or (self.packet_type == engineio.packet.MESSAGE and not self.data):
        self.packet_type, self.binary, self.data = engineio.packet.MESSAGE, False, MALFORMED_FRAME


def _handle_post_request(self: Any, environ: dict[str, Any]) -> None:
    try:
        _handle_post(self, environ)
    except (ValueError, LookupError, ContentTooLongError, UnknownPacketError):
        # Raised any further, it would end the line, and that waits for a poll which need never come.
        self.receive(engineio.packet.Packet(engineio.packet.MESSAGE, MALFORMED_FRAME))


def _send(self: Any, packet: Any) -> None:
    _send_packet(self, packet)
    # Only a line that is polled has a queue; one that nobody polls would fill the memory.
    if not self.upgraded and isinstance(packet.data, str | bytes):
        self.unpolled = getattr(self, "unpolled", 0) + len(packet.data)
        if self.unpolled > MAX_UNPOLLED_CHARS and not self.closed:
            self.close(wait=False, abort=True)
            self.server.sockets.pop(self.sid, None)  # or its next request would find something half there


def _poll(self: Any) -> Any:
    self.unpolled = 0
    return _poll_packets(self)


def harden_transport() -> None:
    """Make Engine.IO read what it cannot read as MALFORMED, and bound what waits; it has no settings for that."""
    engineio.socket.Socket.send = _send
    engineio.socket.Socket.poll = _poll
    engineio.packet.Packet.decode = _decode
    engineio.socket.Socket.handle_post_request = _handle_post_request

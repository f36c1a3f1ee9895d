"""How a WebSocket of Engine.IO becomes a line of the hub, on eventlet, and pings become timers.

The WSGI server's greenlet, and all it holds, ends with the handshake: the line keeps a descriptor of its own.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import engineio.packet
import engineio.socket
from eventlet.greenio import GreenSocket
from eventlet.hubs import get_hub, notify_opened
from eventlet.websocket import WebSocketWSGI

from deploy.lines import Line, Socket, native_socket, open_lines


def _is_plain(socket: Any) -> bool:
    return type(socket) is GreenSocket  # and no TLS, which is more than its descriptor


class Upgrade(WebSocketWSGI):  # type: ignore[misc]
    """The handshake: the library's own, after which the connection is a Line and the WSGI server is done with it."""

    limit = 10_000

    def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
        super().__init__(self._take_over, max_frame_length=int(server.max_http_buffer_size))
        self._library = handler
        self._engine: Socket = handler.__self__  # type: ignore[attr-defined]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the handshake; with 503 when there are as many lines as may be."""
        if len(open_lines) >= self.limit:
            self._engine.close(wait=False, abort=True)
            start_response("503 Service Unavailable", [("Connection", "close"), ("Content-Length", "0")])
            return []
        # No compression: ciphertext has little to gain by it, and its windows would be most of a line's memory.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer

    def _take_over(self, websocket: Any) -> Any:
        if not _is_plain(websocket.socket):
            return self._library(websocket)
        websocket.websocket_closed = True  # for the library, which would say goodbye now
        handle = os.dup(websocket.socket.fileno())
        notify_opened(handle)
        socket = native_socket.socket(fileno=handle)
        socket.setblocking(False)
        Line(self._engine, socket).start()
        return []


def _schedule_ping(self: Socket) -> None:
    if self.last_ping:
        self.last_ping = None
        get_hub().schedule_call_global(self.server.ping_interval, _ping, weakref.ref(self))


def _ping(reference: weakref.ref[Socket]) -> None:
    engine = reference()
    if engine is not None and not engine.closing and not engine.closed:
        engine.last_ping = time.time()
        engine.send(engineio.packet.Packet(engineio.packet.PING))


def install(server: Any, limit: int) -> bool:
    """Let the Socket.IO `server` have at most `limit` such lines; False when the libraries do not fit any more."""
    engine = server.eio
    fits = (
        "websocket" in getattr(engine, "_async", ())
        and all(hasattr(engineio.socket.Socket, name) for name in ("schedule_ping", "receive", "send", "close"))
        and hasattr(WebSocketWSGI, "_handle_hybi_request")
        and all(hasattr(get_hub(), name) for name in ("add", "remove", "schedule_call_global", "switch"))
    )
    if fits:
        Upgrade.limit = limit
        engine._async = engine._async | {"websocket": Upgrade}
        engineio.socket.Socket.schedule_ping = _schedule_ping
    return fits

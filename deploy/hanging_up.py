"""Lets a WebSocket that the server closes end at once, on eventlet.

Its own close() shuts the sending side and closes the descriptor under whoever reads from it: that reader is not woken
by its peer's answer, and stays, with all it holds, until the ping time-out (45 s). Here both sides are shut, so that
the reader sees the end, and the descriptor is closed by its handler.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from eventlet.websocket import RFC6455WebSocket

GONE = (errno.ENOTCONN, errno.EBADF)


def _close(self: Any, close_data: tuple[int, str] | None = None) -> None:
    self._send_closing_frame(close_data=close_data, ignore_send_errors=True)
    try:
        self.socket.shutdown(socket.SHUT_RDWR)
    except OSError as fault:
        if fault.errno not in GONE:
            raise


def install() -> bool:
    """Put it in place; False when eventlet has changed so much that its own way is kept."""
    fits = hasattr(RFC6455WebSocket, "_send_closing_frame") and hasattr(RFC6455WebSocket, "close")
    if fits:
        RFC6455WebSocket.close = _close
    return fits

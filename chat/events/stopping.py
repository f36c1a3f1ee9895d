"""The end of a worker: nothing new comes in, what was taken in is written, and the sockets go to another worker."""

from __future__ import annotations

import logging

from flask import Flask

from chat.extensions import socketio
from chat.shared import RedisError
from chat.sockets import end_line

log = logging.getLogger("sotto")

# The server's own loop sees within this time that it should take no more connections.
ACCEPTING_S = 1.5


def stop(app: Flask) -> None:
    """Begin to end; may be called from a signal handler."""
    app.extensions["sotto_doorkeeper"].close()
    socketio.start_background_task(_finish, app)


def _finish(app: Flask) -> None:
    app.extensions["sotto_delivery"].drain(app.config["COMMIT_TIMEOUT_S"])
    socketio.sleep(ACCEPTING_S)
    # The line is closed and not the Socket.IO session: clients take that for a fault and come again by themselves.
    for eio_sid in list(socketio.server.eio.sockets):
        end_line(eio_sid)
    if workers := app.extensions["sotto_workers"]:
        try:
            workers.leave()
        except RedisError as fault:
            log.warning("not signed off: %s", type(fault).__name__)

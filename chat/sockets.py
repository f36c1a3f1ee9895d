"""The socket's side of Flask: an event gets the application's context, who sent it, and where its handshake came from.

Flask-SocketIO would replay the whole handshake as a request for every event: routing, cookies, session. Of a handshake
that was accepted, only what is needed later is kept.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

from flask import Flask
from flask_socketio import ConnectionRefusedError as ConnectionRefused
from flask_socketio import SocketIO
from werkzeug.wsgi import get_current_url

log = logging.getLogger("sotto")

NAMESPACE = "/"
ORIGIN = "sotto.origin"
# People reach a server under a few addresses; whoever makes addresses up shall not fill the memory with them.
ORIGINS_SHARED = 100

Handshake = dict[str, Any]


class Event(NamedTuple):
    """The event that is being handled: its socket's id, and the origin people reach the server under."""

    sid: str
    origin: str


_event: ContextVar[Event] = ContextVar("event")


@lru_cache(maxsize=ORIGINS_SHARED)
def _kept(app: Flask, origin: str) -> Handshake:
    """What is kept of a handshake, one object for all that are alike; nobody changes it."""
    return {"flask.app": app, ORIGIN: origin}


class Sockets(SocketIO):  # type: ignore[misc]
    """Flask-SocketIO whose events run in an application context of their own, and only `connect` in a request's."""

    def _handle_event(self, handler: Any, message: str, namespace: str, sid: str, *args: Any) -> Any:
        handshake: Handshake | None = self.server.get_environ(sid, namespace)
        if not handshake:
            return "", 400  # gone meanwhile; what Flask-SocketIO answers
        if message == "connect":
            return self._connect(handler, namespace, sid, handshake, *args)
        token = _event.set(Event(sid, handshake[ORIGIN]))
        try:
            with handshake["flask.app"].app_context():
                return handler(*args)
        finally:
            _event.reset(token)

    def _connect(self, handler: Any, namespace: str, sid: str, handshake: Handshake, *args: Any) -> Any:
        if ORIGIN in handshake:  # admitted once already: its handshake is not kept, and nobody honest asks twice
            raise ConnectionRefused("Open another line to come again.")
        kept = _kept(handshake["flask.app"], get_current_url(handshake, host_only=True).rstrip("/"))
        token = _event.set(Event(sid, kept[ORIGIN]))
        try:
            answer = super()._handle_event(handler, "connect", namespace, sid, *args)
        finally:
            _event.reset(token)
        server = self.server
        server.environ[server.manager.eio_sid_from_sid(sid, namespace)] = kept
        return answer


socketio = Sockets()


def is_open(sid: str) -> bool:
    """Whether the line of a socket is still there."""
    server = socketio.server
    line = server.eio.sockets.get(server.manager.eio_sid_from_sid(sid, NAMESPACE))
    return line is not None and not line.closed


def end_line(eio_sid: str) -> None:
    """End the line of an Engine.IO session, without waiting for the poll that fetches its end: it may never come."""
    line = socketio.server.eio.sockets.pop(eio_sid, None)
    if line is None:
        return
    try:
        line.close(wait=False)
    except Exception:
        log.exception("ending a line")


def caller() -> str:
    """The id of the socket that the event being handled came by."""
    return _event.get().sid


def event_origin() -> str | None:
    """`scheme://host[:port]` of the handshake of that socket; None outside of events."""
    event = _event.get(None)
    return event.origin if event else None


def emit(event: str, payload: Any, *, to: str | None = None, include_self: bool = True) -> None:
    """Send an event to a room, or back to the caller; a tuple is sent as several arguments."""
    sid = caller()
    skipped = None if include_self else sid
    socketio.server.emit(event, payload, to=to or sid, skip_sid=skipped, namespace=NAMESPACE)

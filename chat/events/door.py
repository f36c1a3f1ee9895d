"""The door every socket event passes: who sends it, how often, how much, of what shape, and how it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app

from chat import metrics
from chat.errors import BUSY_RETRY_S, Refusal, as_refusal
from chat.extensions import socketio
from chat.frames import MALFORMED
from chat.presence import Identity, Presence
from chat.rates import EventRates
from chat.schemas import Payload, parse
from chat.sockets import caller, emit
from chat.windows import MovingWindows

Answer = dict[str, Any]
Handler = Callable[[Identity, dict[str, Any]], Answer | None]
MAX_DEPTH = 20
# To refuse costs work, too: somebody who earns more than this is hung up on.
REFUSALS_PER_SECOND = 200


def presence() -> Presence:
    """Who is here."""
    found: Presence = current_app.extensions["sotto_presence"]
    return found


def room_of(custom_id: str) -> str:
    """The room of all sockets of one person."""
    return f"user:{custom_id}"


def deduplicating_room_of(custom_id: str) -> str:
    """The room of those of them that declared that they deduplicate."""
    return f"sync:{custom_id}"


def _left_after(value: Any, left: int, depth: int = 0) -> int:
    """Of `left` bytes, what about is left beside a payload as JSON; below 0 once it is clear that it does not fit."""
    if depth > MAX_DEPTH:
        return -1
    if isinstance(value, str | bytes):
        return left - len(value)
    if isinstance(value, Mapping):
        for name, item in value.items():
            left = _left_after(item, left - len(str(name)) - 4, depth + 1)
            if left < 0:
                return left
        return left
    if isinstance(value, list | tuple):
        for item in value:
            left = _left_after(item, left - 1, depth + 1)
            if left < 0:
                return left
        return left
    return left - 4


class Doorkeeper:
    """The limits of the socket edge: `EVENTS_PER_SECOND`, `SIGNALS_PER_SECOND`, `MAX_TEXT_KIB`, `MAX_PAYLOAD_KIB`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._rates = EventRates(config)
        self._refused = MovingWindows(REFUSALS_PER_SECOND)
        self._closed = False
        self._max_text = config["MAX_TEXT_KIB"] * 1024
        self._max_payload = config["MAX_PAYLOAD_KIB"] * 1024

    def close(self) -> None:
        """Let nothing in any more: this worker ends."""
        self._closed = True

    def bears(self, sid: str) -> bool:
        """Count a refusal of this socket; False when it is refused so often that nobody honest is behind it."""
        return self._refused.hit(sid)

    def admit(self, event: str, kind: str, custom_id: str, payload: Any) -> None:
        """Raise Refusal busy, rate_limited or too_large, or let the event in."""
        if self._closed:
            raise Refusal("busy", "The server is restarting. Please try again in a moment.", retry_after=BUSY_RETRY_S)
        if not self._rates.admit(kind, event, custom_id):
            raise Refusal("rate_limited", "Too fast. Please wait a second.", retry_after=1)
        text = payload.get("text") if isinstance(payload, Mapping) else None
        if isinstance(text, str) and len(text) > self._max_text:
            raise Refusal("too_large", f"The message is too long: {self._max_text // 1024} KiB are allowed.")
        if _left_after(payload, self._max_payload) < 0:
            raise Refusal("too_large", f"The event is too large: {self._max_payload // 1024} KiB are allowed.")


def _identify() -> Identity:
    identity = presence().who(caller())
    if identity is None or identity.expires_at <= time.time():
        raise Refusal("unauthorized", "Please log in again.")
    return identity


def _refuse(fault: Exception) -> Answer:
    error = as_refusal(fault).body()
    metrics.REFUSALS.labels(error["code"]).inc()
    emit("error", error)
    if not current_app.extensions["sotto_doorkeeper"].bears(caller()):
        socketio.server.disconnect(caller())
    return {"ok": False, "error": error}


def on(event: str, schema: type[Payload], *, kind: str = "event") -> Callable[[Handler], Handler]:
    """Decorator: let `handler(me, parsed payload)` answer `event`; what it returns is added to `{ok: true}`."""

    def bind(handler: Handler) -> Handler:
        def receive(*payload: Any) -> Answer:
            try:
                me = _identify()
                sent = payload[0] if payload else None
                current_app.extensions["sotto_doorkeeper"].admit(event, kind, me.custom_id, sent)
                return {"ok": True} | (handler(me, parse(schema, sent)) or {})
            except Exception as fault:  # noqa: BLE001 -- the socket edge's one place that turns faults into answers
                return _refuse(fault)

        socketio.on_event(event, receive)
        return handler

    return bind


def refuse_unknown(event: str, *_: Any) -> Answer:
    """Answer an event that nobody handles."""
    return _refuse(Refusal("bad_request", "The event could not be read." if event == MALFORMED else "Unknown event."))

"""A Socket.IO line without a library between test and frames: nothing reordered, nothing hidden, anything may be sent.

Frames as in the Engine.IO 4 and Socket.IO 5 protocols: `42<id>["event", payload]` is an event, `43<id>[answer]` its
acknowledgement, `40{...}` a connect, `44{...}` its refusal, `41` the end.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import websocket

from tests.waiting import PATIENCE_S

EVENT = re.compile(r"42(\[.*)", re.DOTALL)
ANSWER = re.compile(r"43(\d+)(\[.*)", re.DOTALL)
Event = tuple[str, list[Any]]


class ConnectRefused(Exception):
    """The server refused the handshake; the message is its own."""


class Line:
    """One socket at `origin` (http://host:port). `events` are what came, in order; `frames` all that came, as text."""

    def __init__(self, origin: str, auth: Any = None, **options: Any) -> None:
        address = f"{origin.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
        self._socket = websocket.create_connection(address, timeout=PATIENCE_S, **options)
        assert str(self._socket.recv()).startswith("0{")
        self.events: list[Event] = []
        self.frames: list[str] = []
        self.ended = False
        self._answers: dict[int, Any] = {}
        self._next = 0
        self._news = threading.Condition()
        self._socket.send("40" if auth is None else f"40{auth if isinstance(auth, str) else json.dumps(auth)}")
        # What came before the connect is confirmed, was emitted while connecting.
        while not (first := self._read()).startswith(("40", "44")):
            self._take(first)
        if first.startswith("44"):
            self._socket.close()
            raise ConnectRefused(json.loads(first[2:])["message"])
        threading.Thread(target=self._listen, daemon=True).start()

    def _read(self) -> str:
        frame = str(self._socket.recv())
        self.frames.append(frame)
        return frame

    def _listen(self) -> None:
        self._socket.settimeout(None)
        try:
            # "1" is Engine.IO's own end of the line: whoever hears it hangs up.
            while (frame := self._read()) and frame not in ("41", "1"):
                self._take(frame)
            if frame == "1":
                self._socket.close()
        except (websocket.WebSocketException, OSError):
            pass  # the end of the line; `ended` tells whoever waits
        with self._news:
            self.ended = True
            self._news.notify_all()

    def _take(self, frame: str) -> None:
        if frame == "2":
            self._socket.send("3")
        with self._news:
            if event := EVENT.fullmatch(frame):
                name, *payload = json.loads(event[1])
                self.events.append((name, payload))
            elif answer := ANSWER.fullmatch(frame):
                self._answers[int(answer[1])] = json.loads(answer[2])
            self._news.notify_all()

    def _await(self, condition: Callable[[], Any], what: str) -> None:
        with self._news:
            assert self._news.wait_for(lambda: condition() or self.ended, PATIENCE_S), f"waited in vain for {what}"
            assert condition(), f"the line ended before {what}"

    def send_frame(self, frame: str | bytes) -> None:
        """Send this, whatever it is."""
        self._socket.send(frame, websocket.ABNF.OPCODE_BINARY if isinstance(frame, bytes) else 1)

    def emit(self, event: str, *payload: Any) -> int:
        """Send an event and go on; the number of its acknowledgement."""
        self._next += 1
        self.send_frame(f"42{self._next}{json.dumps([event, *payload])}")
        return self._next

    def answer(self, number: int) -> dict[str, Any]:
        """The acknowledgement of an event."""
        self._await(lambda: number in self._answers, f"acknowledgement {number}")
        (answer,) = self._answers[number]
        assert isinstance(answer, dict)
        return answer

    def acknowledged(self, numbers: list[int]) -> list[dict[str, Any]]:
        """Those acknowledgements of these events that have come so far, in order."""
        with self._news:
            return [self._answers[number][0] for number in numbers if number in self._answers]

    def ask(self, event: str, *payload: Any) -> dict[str, Any]:
        """Send an event; its acknowledgement."""
        return self.answer(self.emit(event, *payload))

    def refused(self, event: str, *payload: Any) -> str:
        """Send an event that must be refused, in the acknowledgement and as an `error` event; the code."""
        seen = len(self.events)
        answer = self.ask(event, *payload)
        assert answer["ok"] is False, answer
        error: dict[str, Any] = answer["error"]
        assert ("error", [error]) in self.events[seen:]
        assert error["message"]
        return str(error["code"])

    def all(self, event: str) -> list[Any]:
        """The first arguments of all events of this name so far."""
        return [payload[0] if payload else None for name, payload in self.events if name == event]

    def wait_for(self, event: str, condition: Callable[[Any], Any] = lambda _: True, count: int = 1) -> Any:
        """The first argument of the `count`-th event of this name that fits, once it is here."""

        def fitting() -> list[Any]:
            return [payload for payload in self.all(event) if condition(payload)]

        self._await(lambda: len(fitting()) >= count, f"{event} ({count})")
        return fitting()[count - 1]

    def settle(self) -> None:
        """Everything the server had sent on this line before now is in `events`: an answer comes behind it."""
        self.ask("no such event")
        self.events = [event for event in self.events if event[1:] != ([UNKNOWN],)]

    def wait_for_end(self) -> None:
        """Return once the server has ended the line."""
        with self._news:
            assert self._news.wait_for(lambda: self.ended, PATIENCE_S), "the line did not end"

    def close(self) -> None:
        """End it from this side."""
        with contextlib.suppress(websocket.WebSocketException, OSError):  # the other side may have been quicker
            self._socket.send_close()


UNKNOWN = {"code": "bad_request", "message": "Unknown event."}

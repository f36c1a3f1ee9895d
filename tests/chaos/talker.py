"""Somebody who writes and reads as Sotto's own client does: an outbox, a cursor, a sync at each connect."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import websocket

from tests.line import ConnectRefused, Line
from tests.people import Person
from tests.seals import sealed

TICK_S = 0.01
# After this a message goes again under the same clientId, and a gap is asked for.
ACK_TIMEOUT_S = 6.0
GAP_S = 0.5
DUPLICATED, REORDERED = 0.3, 0.5


@dataclass
class Weather:
    """What the wire does to frames at the moment: duplicates them, swaps those that come close together."""

    duplicates: bool = False
    reorders: bool = False


@dataclass
class Sent:
    """A message on its way: `seq` and `id` once it is acknowledged."""

    client_id: str
    text: str
    frame: int = 0
    tried_at: float = 0.0
    seq: int = 0
    id: str = ""


@dataclass
class Diary:
    """What one person knows at the end: acknowledged messages as written, received ones as taken, in order."""

    acknowledged: list[Sent] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


class Talker:
    """Writes to `other_id` every `pause` seconds and takes what comes, at `origin`, until `rest`."""

    def __init__(self, person: Person, other_id: str, origin: str, pause: float, weather: Weather) -> None:
        self.person, self.diary = person, Diary()
        self._other, self._origin, self._pause, self._weather = other_id, origin, pause, weather
        self._line: Line | None = None
        self._read_to = 0
        self._sync = 0
        self._sync_at = 0.0
        self._cursor = 0
        self._beyond: dict[int, dict[str, Any]] = {}
        self._own: set[int] = set()
        self._voided: set[int] = set()
        self._sending: Sent | None = None
        self._next_at = time.monotonic() + random.random() * pause
        self._writes, self._runs = True, True
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Begin to talk."""
        self._thread.start()

    def rest(self) -> None:
        """Write nothing new."""
        self._writes = False

    @property
    def is_done(self) -> bool:
        """Whether everything written is acknowledged."""
        return not self._writes and self._sending is None

    def end(self) -> None:
        """Hang up."""
        self._runs = False
        self._thread.join()
        if self._line:
            self._line.close()

    def _live(self) -> None:
        while self._runs:
            if self._line is None or self._line.ended:
                self._connect()
            else:
                self._read(self._line)
                self._ask_for_gap(self._line)
                self._write(self._line)
            time.sleep(TICK_S)

    def _connect(self) -> None:
        try:
            token = self.person.token
            line = Line(self._origin, {"token": token}, cookie=f"sotto_token={token}")
        except (OSError, websocket.WebSocketException, ConnectRefused):
            time.sleep(random.uniform(0.1, 0.5))
            return
        self._line, self._read_to = line, 0
        if self._sending:
            self._sending.tried_at = 0.0
        self._ask(line)

    def _emit(self, line: Line, event: str, payload: dict[str, Any]) -> int:
        try:
            frame = line.emit(event, payload)
            if self._weather.duplicates and random.random() < DUPLICATED:
                line.emit(event, payload)
            return frame
        except (OSError, websocket.WebSocketException):
            return 0  # the line is down; its listener will say so

    # Reading.

    def _ask(self, line: Line) -> None:
        self._sync = self._emit(
            line, "user_connected", {"customId": self.person.id, "sync": {self._other: self._cursor}}
        )
        self._sync_at = time.monotonic()

    def _ask_for_gap(self, line: Line) -> None:
        if self._sync:
            for answer in line.acknowledged([self._sync]):
                self._sync = 0
                self._read(line)
                if answer["ok"]:
                    self._settle(answer["standing"].get(self._other, {}).get("upToSeq", 0))
        waits = time.monotonic() - self._sync_at
        if (self._beyond and not self._sync and waits > GAP_S) or (self._sync and waits > ACK_TIMEOUT_S):
            self._ask(line)

    def _read(self, line: Line) -> None:
        news = line.events[self._read_to :]
        self._read_to += len(news)
        if self._weather.reorders and len(news) > 1 and random.random() < REORDERED:
            random.shuffle(news)
        for event, payload in news:
            if event in ("receive_message", "message_sent"):
                copies = 2 if self._weather.duplicates and random.random() < DUPLICATED else 1
                for _ in range(copies):
                    self._receive(payload[0])
            elif event == "sync_again":
                self._sync_at = 0.0
                self._ask(line)
        self._drain(0)

    def _receive(self, message: dict[str, Any]) -> None:
        seq = message["seq"]
        if seq in self._voided:
            self._voided.discard(seq)
            self._take(message)
        elif seq > self._cursor:
            self._beyond[seq] = message

    def _drain(self, settled: int) -> None:
        while True:
            following = self._cursor + 1
            if following in self._own:
                self._own.discard(following)
                self._beyond.pop(following, None)
            elif following in self._beyond:
                self._take(self._beyond.pop(following))
            elif following <= settled:
                self._voided.add(following)
            else:
                return
            self._cursor = following

    def _settle(self, up_to: int) -> None:
        self._drain(up_to)

    def _take(self, message: dict[str, Any]) -> None:
        if message["senderId"] == self._other:
            self.diary.received.append(message)

    # Writing.

    def _write(self, line: Line) -> None:
        now = time.monotonic()
        if self._sending is None:
            if not self._writes or now < self._next_at:
                return
            self._next_at = now + self._pause * random.uniform(0.5, 1.5)
            self._sending = Sent(str(uuid.uuid4()), sealed())
        sent = self._sending
        answers = line.acknowledged([sent.frame]) if sent.tried_at and sent.frame else []
        if answers:
            self._answered(sent, answers[0])
        elif now - sent.tried_at > ACK_TIMEOUT_S:
            message = {"receiverId": self._other, "text": sent.text, "type": "text", "clientId": sent.client_id}
            sent.frame, sent.tried_at = self._emit(line, "send_message", message), now

    def _answered(self, sent: Sent, answer: dict[str, Any]) -> None:
        if answer["ok"]:
            sent.seq, sent.id = answer["seq"], answer["id"]
            self.diary.acknowledged.append(sent)
            if sent.seq > self._cursor:
                self._own.add(sent.seq)
            self._sending = None
        else:
            self.diary.refused.append(answer["error"])
            retry_s: float = answer["error"].get("retryAfter", 1)
            sent.tried_at = time.monotonic() - ACK_TIMEOUT_S + min(retry_s, 1)

"""Taking messages in: one writer per process commits what waits in groups, and only then acknowledges."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pymongo.errors import BulkWriteError, PyMongoError

from chat import accounts, contacts, history, metrics
from chat.errors import BUSY_RETRY_S, Refusal
from chat.models import Conversation, Message, conversation_id, now
from chat.numbers import Numbers

log = logging.getLogger("sotto.delivery")

Row = history.Row

# After a restart the newest seq is found by reading from the hint on: this bounds that read.
HINT_EVERY = 64
CACHED_RECEIVERS = 100_000
RETRY_PAUSE_S = 0.2
DRAIN_LOOK_S = 0.02
# By how much the clocks of machines that run NTP may differ, generously.
CLOCK_SKEW_S = 10
DUPLICATE_KEY = 11000
# What a repeat has to agree in with what is stored.
WHAT_IS_SAID = ("receiver", "type", "text", "file_url", "file_name")


@dataclass(frozen=True)
class Draft:
    """A message as its sender sent it, parsed. `client_id` is a UUID, `file_url` the name of an upload."""

    sender: str
    receiver: str
    text: str
    client_id: str
    type: str = "text"
    file_url: str | None = None
    file_name: str | None = None

    @property
    def message_id(self) -> str:
        """The id it is stored under: the same for every repeat."""
        return f"{self.sender}:{self.client_id.lower()}"


@dataclass
class _Waiting:
    draft: Draft
    deadline: float
    tried: bool = False  # a write of it was sent to the database, and what came of that is not known
    done: Future[tuple[Row, bool]] = field(default_factory=Future)

    @property
    def message_id(self) -> str:
        return self.draft.message_id

    @property
    def pair(self) -> str:
        return conversation_id(self.draft.sender, self.draft.receiver)

    def settle(self, row: Row, fresh: bool) -> None:
        """Answer with the stored row; a repeat that differs from what is stored is a conflict."""
        if any(row.get(name) != getattr(self.draft, name) for name in WHAT_IS_SAID):
            self.done.set_exception(Refusal("conflict", "Another message was sent under this clientId."))
        else:
            self.done.set_result((row, fresh))


def _busy() -> Refusal:
    return Refusal("busy", "The server is busy. Please try again in a moment.", retry_after=BUSY_RETRY_S)


class Delivery:
    """Stores messages durably: at most `batch` in a commit, `waiting` in the queue, tried for `timeout` seconds."""

    def __init__(self, batch: int, waiting: int, timeout: float, numbers: Numbers | None = None) -> None:
        self._batch = batch
        self._numbers = numbers or Numbers()
        self._timeout = timeout
        self._queue: queue.Queue[_Waiting] = queue.Queue(maxsize=waiting)
        self._receivers: OrderedDict[str, None] = OrderedDict()
        self._start = threading.Lock()
        self._unanswered = 0
        self._writer: threading.Thread | None = None
        metrics.COMMIT_WAITING.set_function(self._queue.qsize)

    @property
    def void_after(self) -> timedelta:
        """After this time, a number that was given out and is not in the database never will be."""
        return timedelta(seconds=2 * self._timeout + CLOCK_SKEW_S)

    def submit(self, draft: Draft) -> tuple[Row, bool]:
        """The stored message and whether it is new, once the write is durable.

        Raises Refusal: not_found (no such receiver), forbidden (no keys exchanged), validation, conflict, busy.
        """
        self.check_receiver(draft)
        waiting = _Waiting(draft, time.monotonic() + self._timeout)
        self._ensure_writer()
        try:
            self._queue.put_nowait(waiting)
        except queue.Full as full:
            raise _busy() from full
        with self._start:
            self._unanswered += 1
        try:
            # The writer answers at the deadline by itself; the margin is for one database call that hangs.
            return waiting.done.result(timeout=self._timeout * 2)
        except WaitTimeout as late:
            raise _busy() from late
        finally:
            with self._start:
                self._unanswered -= 1

    def drain(self, timeout: float) -> None:
        """Wait until everything that was submitted is answered, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._unanswered and time.monotonic() < deadline:
            time.sleep(DRAIN_LOOK_S)

    def check_receiver(self, draft: Draft) -> None:
        """Raise Refusal validation, not_found or forbidden when this sender may not write to this receiver."""
        if draft.receiver == draft.sender:
            raise Refusal("validation", "You cannot write to yourself.", errors={"receiverId": "It is you."})
        if draft.receiver not in self._receivers:
            self._know(draft.receiver)
        if not contacts.are_connected(draft.sender, draft.receiver):
            raise Refusal("forbidden", "Exchange keys first.")

    def _know(self, receiver: str) -> None:
        accounts.find(receiver)
        self._receivers[receiver] = None
        if len(self._receivers) > CACHED_RECEIVERS:
            self._receivers.popitem(last=False)

    def _ensure_writer(self) -> None:
        with self._start:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_for_ever, name="delivery", daemon=True)
                self._writer.start()

    def _write_for_ever(self) -> None:
        while True:
            group = [self._queue.get()]
            while len(group) < self._batch:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            metrics.COMMIT_BATCH.observe(len(group))
            with metrics.COMMIT_SECONDS.time():
                self._commit_or_refuse(group)

    def _commit_or_refuse(self, group: list[_Waiting]) -> None:
        while group := self._in_time(group):
            try:
                group = self._commit(group)
            except PyMongoError as fault:
                log.warning("commit failed, trying again: %s", type(fault).__name__)
                # Whether the lost write took place is not known: numbers are read anew, repeats are found by _id.
                self._forget(group)
                time.sleep(RETRY_PAUSE_S)
            except Exception as fault:
                log.exception("commit failed")
                self._forget(group)
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_exception(fault)

    @staticmethod
    def _in_time(group: list[_Waiting]) -> list[_Waiting]:
        """Those that still wait; who has waited too long is told busy."""
        for waiting in group:
            if not waiting.done.done() and time.monotonic() > waiting.deadline:
                waiting.done.set_exception(_busy())
        return [waiting for waiting in group if not waiting.done.done()]

    def _forget(self, group: list[_Waiting]) -> None:
        self._numbers.forget({waiting.pair for waiting in group})

    def _commit(self, group: list[_Waiting]) -> list[_Waiting]:
        """Write one group; returns those to try again (their number was taken by another process)."""
        messages = Message._get_collection()
        stored = {row["_id"]: row for row in messages.find({"_id": {"$in": [w.message_id for w in group]}})}
        fresh: dict[str, _Waiting] = {}
        repeats: list[_Waiting] = []
        for waiting in group:
            if waiting.message_id in stored or waiting.message_id in fresh:
                repeats.append(waiting)
            else:
                fresh[waiting.message_id] = waiting
        rows = self._rows(list(fresh.values()))
        for waiting in fresh.values():
            waiting.tried = True
        failed = self._insert(list(rows.values()))
        for message_id, waiting in fresh.items():
            if message_id not in failed:
                stored[message_id] = rows[message_id]
                waiting.settle(rows[message_id], fresh=True)
        metrics.MESSAGES.inc(len(fresh) - len(failed))
        again = [fresh[message_id] for message_id in failed]
        for waiting in repeats:
            if waiting.message_id in stored:
                # What an attempt stored that seemed to fail is news all the same: nobody was told of it yet.
                waiting.settle(stored[waiting.message_id], fresh=waiting.tried)
            else:
                again.append(waiting)
        self._forget(again)
        return again

    def _insert(self, rows: list[Row]) -> set[str]:
        """Insert all; returns the ids of those whose _id or place was taken."""
        if not rows:
            return set()
        try:
            Message._get_collection().insert_many(rows, ordered=False)
        except BulkWriteError as fault:
            errors: list[dict[str, Any]] = fault.details["writeErrors"]
            if any(error["code"] != DUPLICATE_KEY for error in errors) or fault.details.get("writeConcernErrors"):
                raise
            return {rows[error["index"]]["_id"] for error in errors}
        return set()

    def _rows(self, fresh: list[_Waiting]) -> dict[str, Row]:
        writers = {waiting.pair: waiting.draft for waiting in fresh}
        wanted = Counter(waiting.pair for waiting in fresh)
        following = self._numbers.take(wanted, lambda pair: _begin(pair, writers[pair]))
        moment = now()
        rows: dict[str, Row] = {}
        for waiting in fresh:
            draft, seq = waiting.draft, following[waiting.pair]
            following[waiting.pair] += 1
            rows[waiting.message_id] = {
                "_id": waiting.message_id,
                "conversation": waiting.pair,
                "seq": seq,
                "sender": draft.sender,
                "receiver": draft.receiver,
                "type": draft.type,
                "text": draft.text,
                "created_at": moment,
            } | {name: value for name in ("file_url", "file_name") if (value := getattr(draft, name)) is not None}
            if seq % HINT_EVERY == 0:
                # Below this seq, as this group is not written yet: a hint may lag, but never run ahead.
                Conversation.objects(pair=waiting.pair).update_one(max__last_seq=max(0, seq - len(fresh)))
        return rows


def _begin(pair: str, draft: Draft) -> int:
    """Where a conversation stands; one that nobody began is made, so that a sync finds it."""
    Conversation._get_collection().update_one(
        {"_id": pair},
        {
            "$setOnInsert": {
                "members": sorted((draft.sender, draft.receiver)),
                "connected": False,
                "last_seq": 0,
                "delivered": {},
                "read": {},
            }
        },
        upsert=True,
    )
    return history.standing(pair).last_seq

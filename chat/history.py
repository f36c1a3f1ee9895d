"""Reading conversations: by range of sequence numbers, so that a page costs the same however long the past is."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import accumulate, chain
from typing import Any

from chat.errors import Refusal
from chat.models import Conversation, Message, conversation_id, iso, now

Row = dict[str, Any]

# Numbers are given out without holes but for writes that failed; a few windows reach over any of those.
WINDOWS = 8
ROWS_AT_ONCE = 100
BATCH = 32  # of the largest messages, about a page
# A page ends when it has this many bytes of ciphertext, however many messages that are: it is in memory as a whole.
PAGE_BYTES = 4 << 20
HOLES_KNOWN = 10_000
SYNC_LIMIT = 1000  # messages of one conversation pushed at a connect; what is older is read as history


@dataclass(frozen=True)
class Standing:
    """Where a conversation stands: its newest seq, and up to which seq each member has received and read."""

    last_seq: int
    delivered: dict[str, int]
    read: dict[str, int]


def _standing(conversation: Conversation) -> Standing:
    return Standing(_last_seq(conversation.pair, conversation.last_seq), conversation.delivered, conversation.read)


def _last_seq(pair: str, hint: int) -> int:
    beyond = Message._get_collection().find({"conversation": pair, "seq": {"$gt": hint}}, {"seq": 1, "_id": 0})
    return max((row["seq"] for row in beyond), default=hint)


def standing(pair: str) -> Standing:
    """The standing of a conversation; one that nobody began stands at 0."""
    conversation = Conversation.objects(pair=pair).first()
    return _standing(conversation) if conversation else Standing(0, {}, {})


def has_any(me: str) -> bool:
    """Whether somebody ever exchanged keys or words."""
    return Conversation.objects(members=me).only("pair").first() is not None


def _window(pair: str, after: int, upto: int, direction: int) -> Iterator[Row]:
    found = Message._get_collection().find({"conversation": pair, "seq": {"$gt": after, "$lte": upto}})
    with found.sort("seq", direction).batch_size(BATCH) as rows:
        yield from rows


def _until_full(windows: Iterator[Iterator[Row]], limit: int) -> list[Row]:
    """The first rows of all windows: up to `limit` of them, and about PAGE_BYTES."""
    rows: list[Row] = []
    size = 0
    for row in chain.from_iterable(windows):
        rows.append(row)
        size += len(row["text"])
        if len(rows) == limit or size >= PAGE_BYTES:
            break
    return rows


def _upwards(pair: str, after: int, upto: int, limit: int) -> list[Row]:
    """The first rows beyond `after`."""
    step = min(limit, ROWS_AT_ONCE)
    return _until_full((_window(pair, at, min(at + step, upto), 1) for at in range(after, upto, step)), limit)


def _downwards(pair: str, after: int, upto: int, limit: int) -> list[Row]:
    """The last rows beyond `after` and up to `upto`, in seq order."""
    step = min(limit, ROWS_AT_ONCE)
    return _until_full((_window(pair, max(after, at - step), at, -1) for at in range(upto, after, -step)), limit)[::-1]


def _page(pair: str, last: int, before: int | None, after: int | None, limit: int) -> list[Row]:
    """Message documents in seq order: those just after `after`, else the newest below `before`."""
    top = last if before is None else min(last, before - 1)
    if after is not None:
        return _upwards(pair, after, top, limit)
    return _downwards(pair, max(0, top - WINDOWS * limit), top, limit)


def on_the_wire(row: Row, origin: str, read_seq: int = 0) -> dict[str, Any]:
    """A message document in the shape of `receive_message` and `GET /api/chat/messages`.

    An upload is stored as its name; its URL begins with `origin`, the address of whoever asks.
    """
    file = row.get("file_url")
    return {
        "_id": row["_id"],
        "seq": row["seq"],
        "senderId": row["sender"],
        "receiverId": row["receiver"],
        "type": row["type"],
        "text": row["text"],
        "fileUrl": f"{origin}/uploads/{file}" if file else None,
        "fileName": row.get("file_name"),
        "isRead": row["seq"] <= read_seq,
        "createdAt": iso(row["created_at"]),
    }


def conversation_page(
    me: str, other: str, origin: str, *, before: int | None = None, after: int | None = None, limit: int
) -> tuple[list[dict[str, Any]], Standing]:
    """Up to `limit` messages of two people in the wire's shape, oldest first, and where their conversation stands.

    Fewer when they are large (PAGE_BYTES). Those just after seq `after` if it is given, else the newest below `before`,
    else the newest.
    """
    pair = conversation_id(me, other)
    stands = standing(pair)
    rows = _page(pair, stands.last_seq, before, after, limit)
    return [on_the_wire(row, origin, stands.read.get(row["receiver"], 0)) for row in rows], stands


@dataclass(frozen=True)
class Missed:
    """One conversation's news: the other member, receipts of both, and the rows beyond the cursor that are settled.

    `up_to` is the newest settled seq: below it every number is a message that is there, or one that never will be.
    `more` tells that there are further rows beyond it, which did not fit; `last_seq` is the newest of all.
    """

    contact: str
    up_to: int
    last_seq: int
    delivered: dict[str, int]
    read: dict[str, int]
    rows: list[Row]
    more: bool


class Holes:
    """Since when this worker knows of holes in the numbers, whatever the wall clock says; `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, int], float] = OrderedDict()

    def known_for(self, pair: str, seq: int) -> timedelta:
        """How long ago it was first asked about this one."""
        first = self._seen.setdefault((pair, seq), self._clock())
        if len(self._seen) > HOLES_KNOWN:
            self._seen.popitem(last=False)
        return timedelta(seconds=self._clock() - first)


holes = Holes()


def settled(rows: list[Row], cursor: int, void_after: timedelta, known_for: Callable[[int], timedelta]) -> int:
    """How far from `cursor` on `rows` (in seq order) tell all there is.

    Several workers commit at once, so a number may come before one below it. It is waited for until some row above the
    hole is older than `void_after`, as that one got its number later: whoever held the missing one has given up.
    A clock that was set may put rows into the future, so a hole that this worker knows for as long is void as well.
    """
    reached = cursor
    oldest_from = list(accumulate((row["created_at"] for row in reversed(rows)), min))[::-1]
    for row, oldest in zip(rows, oldest_from, strict=True):
        if row["seq"] > reached + 1 and now() - oldest < void_after and known_for(reached + 1) < void_after:
            break
        reached = row["seq"]
    return reached


def missed(me: str, cursors: dict[str, int], void_after: timedelta) -> Iterator[Missed]:
    """Every conversation of `me` with what lies beyond its cursor (by contact id), in seq order."""
    for conversation in Conversation.objects(members=me):
        contact = next((member for member in conversation.members if member != me), me)
        stands = _standing(conversation)
        cursor = cursors.get(contact, stands.delivered.get(me, 0))
        start = max(min(cursor, stands.last_seq), stands.last_seq - SYNC_LIMIT)
        rows = _upwards(conversation.pair, start, stands.last_seq, SYNC_LIMIT)
        up_to = settled(rows, start, void_after, partial(holes.known_for, conversation.pair))
        more = up_to > start and up_to == rows[-1]["seq"] < stands.last_seq
        there = [row for row in rows if row["seq"] <= up_to]
        yield Missed(contact, up_to, stands.last_seq, stands.delivered, stands.read, there, more)


def acknowledge(receiver: str, sender: str, up_to_seq: int, *, read: bool) -> int | None:
    """Note that `receiver` has received (or read) what `sender` wrote; the seq noted, None if it is not new."""
    pair = conversation_id(receiver, sender)
    conversation = Conversation.objects(pair=pair).first()
    if conversation is None:
        return None
    stands = _standing(conversation)
    seq = min(up_to_seq, stands.last_seq)
    fields = ("delivered", "read") if read else ("delivered",)
    if seq <= getattr(stands, fields[-1]).get(receiver, 0):
        return None
    Conversation._get_collection().update_one({"_id": pair}, {"$max": {f"{field}.{receiver}": seq for field in fields}})
    return seq


def reseal(me: str, message_id: str, text: str, origin: str) -> dict[str, Any]:
    """Replace the ciphertext of one's own message; raises Refusal not_found, forbidden."""
    message = Message.objects(message_id=message_id).first()
    if message is None or me not in (message.sender, message.receiver):
        raise Refusal("not_found", "Message not found.")
    if message.sender != me:
        raise Refusal("forbidden", "Only its sender may replace a message.")
    message.update(set__text=text)
    row = message.to_mongo().to_dict() | {"text": text}
    return on_the_wire(row, origin, standing(message.conversation).read.get(message.receiver, 0))

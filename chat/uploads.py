"""Uploads: ciphertext in GridFS, streamed in and out, counted per account, swept when nothing refers to it."""

from __future__ import annotations

import io
import logging
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import IO, Any

import mongoengine
from pymongo.errors import PyMongoError

from chat.errors import Refusal
from chat.models import Message, now

# 192 random bits in base64url: the name is all that guards the ciphertext from being fetched.
NAME_BYTES = 24
NAME = re.compile(r"[A-Za-z0-9_-]{32}")
BUCKET = "uploads"
CHUNK_BYTES = 1 << 20
QUOTA_WINDOW = timedelta(days=1)
# What the smallest upload counts: it costs documents and indexes, too, and there may be no end of empty ones.
LEAST_COUNTED = 64 * 1024
# Of the messages that refer to an upload; a message sent a second time to many people is one each.
REFERENCES_KEPT = 1000
# A client uploads before it sends; a day covers a night without a network in between.
UNREFERENCED_FOR = timedelta(days=1)
SWEEP_EVERY_S = 3600
# How often room is looked for that other uploads of the same person may give back, and how long in between at most.
ATTEMPTS = 5
PAUSE_S = 0.2
SWEPT_AT_ONCE = 500

log = logging.getLogger("sotto.uploads")


def _files() -> Any:
    return mongoengine.get_db()[f"{BUCKET}.files"]


def _chunks() -> Any:
    return mongoengine.get_db()[f"{BUCKET}.chunks"]


def _pending() -> Any:
    return mongoengine.get_db()[f"{BUCKET}.pending"]


def _spent(owner: str) -> tuple[int, int]:
    """Bytes of somebody's day that are kept, and that are put aside for what comes."""
    since = now() - QUOTA_WINDOW
    kept = {"metadata.owner": owner, "uploadDate": {"$gt": since}}
    coming = {"owner": owner, "began": {"$gt": since}}
    # In this order: what is kept in between was put aside before, and is counted twice rather than not at all.
    put_aside = _sum(_pending(), coming)
    return _sum(_files(), kept), put_aside


def _sum(collection: Any, which: dict[str, Any]) -> int:
    counted = {"$sum": {"$max": ["$length", LEAST_COUNTED]}}
    found = list(collection.aggregate([{"$match": which}, {"$group": {"_id": None, "bytes": counted}}]))
    return int(found[0]["bytes"]) if found else 0


def _put_aside(owner: str, size: int, quota: int) -> str:
    """The name of an upload that is to come, its bytes noted; raises Refusal rate_limited when they are not left."""
    for attempt in range(ATTEMPTS):
        name = secrets.token_urlsafe(NAME_BYTES)
        # Noted before it is added up, so that several at once cannot all find room for one.
        _pending().insert_one({"_id": name, "owner": owner, "length": size, "began": now()})
        kept, coming = _spent(owner)
        if kept + coming <= quota:
            return name
        _pending().delete_one({"_id": name})
        if kept + max(size, LEAST_COUNTED) > quota:
            break
        # Several that began at once stand in each other's way, though there is room for some of them.
        time.sleep(random.uniform(0, PAUSE_S * (attempt + 1)))  # noqa: S311 -- nobody gains by guessing it
    raise Refusal(
        "rate_limited",
        f"You have reached today's limit of {quota >> 20} MB of files. It frees itself within a day.",
        retry_after=3600,
    )


@contextmanager
def expected(owner: str, size: int, quota: int) -> Iterator[str]:
    """The unguessable name of an upload that comes now, with `size` bytes put aside of `owner`'s `quota` in 24 hours.

    Raises Refusal rate_limited when they are not left. If the block raises, nothing of the upload stays.
    """
    name = _put_aside(owner, size, quota)
    try:
        yield name
    except BaseException:
        _chunks().delete_many({"files_id": name})  # what was written of it goes, too
        raise
    finally:
        _pending().delete_one({"_id": name})


def keep(name: str, owner: str, stream: IO[bytes]) -> None:
    """Store a stream of ciphertext under an expected name; raises Refusal validation when it is empty.

    Laid out as GridFS does, chunk by chunk: the driver's own writer holds back 48 MB in memory before it writes any,
    for each upload that runs.
    """
    count = length = 0
    while block := stream.read(CHUNK_BYTES):
        _chunks().insert_one({"files_id": name, "n": count, "data": block})
        count, length = count + 1, length + len(block)
    if not length:
        raise Refusal("validation", "The file is empty.", errors={"file": "The file is empty."})
    file = {"_id": name, "filename": name, "length": length, "chunkSize": CHUNK_BYTES, "uploadDate": now()}
    _files().insert_one(file | {"metadata": {"owner": owner, "messages": []}})


class StoredFile(io.RawIOBase):
    """Ciphertext as it lies in the database, of `length` bytes: one chunk of it in memory at a time.

    The driver's own reader fetches batches of 16 MB, three times over, for each download that runs.
    """

    def __init__(self, name: str, length: int) -> None:
        self.length = length
        self._name, self._place = name, 0
        self._chunk, self._number = b"", -1

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place the next read begins at, in bytes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; where that is."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.length}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the chunk the place lies in; how many bytes, 0 at the end. Raises OSError."""
        if self._place >= self.length:
            return 0
        number, start = divmod(self._place, CHUNK_BYTES)
        if number != self._number:
            found = _chunks().find_one({"files_id": self._name, "n": number}, {"data": 1})
            if found is None:
                raise OSError("a chunk is missing")
            self._chunk, self._number = found["data"], number
        part = self._chunk[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


def open_stream(name: str) -> StoredFile:
    """The ciphertext under `name`; raises Refusal not_found."""
    file = _files().find_one({"_id": name}, {"length": 1}) if NAME.fullmatch(name) else None
    if file is None:
        raise Refusal("not_found", "File not found.")
    return StoredFile(name, int(file["length"]))


def name_in(file_url: str) -> str:
    """The name at the end of a fileUrl of ours; raises Refusal validation when it is none."""
    found = re.search(r"/uploads/([A-Za-z0-9_-]{32})\Z", file_url)
    if not found:
        raise Refusal("validation", "fileUrl is not an upload of this server.", errors={"fileUrl": "Unknown upload."})
    return found[1]


def refer(name: str, message_id: str) -> None:
    """Note that a message refers to this upload, so that it is kept; raises Refusal validation if there is none."""
    newest = {"$each": [message_id], "$slice": -REFERENCES_KEPT}
    note = {"$push": {"metadata.messages": newest}, "$set": {"metadata.referred": now()}}
    if not _files().update_one({"_id": name}, note).matched_count:
        raise Refusal("validation", "fileUrl is not an upload of this server.", errors={"fileUrl": "Unknown upload."})


def _unreferenced(before: datetime) -> Iterator[dict[str, Any]]:
    # A message that was referred from a moment ago may still be on its way to the database.
    old = {"uploadDate": {"$lt": before}, "metadata.referred": {"$not": {"$gte": before}}}
    found = _files().find(old, {"metadata.messages": 1})
    while files := list(islice(found, SWEPT_AT_ONCE)):
        wanted = [message for file in files for message in file["metadata"]["messages"]]
        there = {row["_id"] for row in Message._get_collection().find({"_id": {"$in": wanted}}, {"_id": 1})}
        yield from (file for file in files if there.isdisjoint(file["metadata"]["messages"]))


def sweep_for_ever(sleep: Callable[[float], None]) -> None:
    """Sweep now and then; `sleep` takes seconds and lets others work in the meantime."""
    while True:
        sleep(SWEEP_EVERY_S)
        try:
            sweep()
        except PyMongoError as fault:
            log.warning("sweep: %s", type(fault).__name__)


def sweep() -> int:
    """Delete what no message refers to since UNREFERENCED_FOR, and what a crash left of an upload; how many files."""
    before = now() - UNREFERENCED_FOR
    swept = 0
    for file in _unreferenced(before):
        # Unless a message came to refer to it since it was looked at.
        same = {"_id": file["_id"], "metadata.messages": file["metadata"]["messages"]}
        if _files().delete_one(same).deleted_count:
            _chunks().delete_many({"files_id": file["_id"]})
            swept += 1
    for left in _pending().find({"began": {"$lt": before}}, {"_id": 1}):
        if _files().find_one({"_id": left["_id"]}, {"_id": 1}) is None:
            _chunks().delete_many({"files_id": left["_id"]})
        _pending().delete_one({"_id": left["_id"]})
    return swept

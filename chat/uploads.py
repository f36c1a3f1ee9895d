"""Uploads: ciphertext in GridFS, streamed in and out, counted per account, swept when nothing refers to it."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import IO, Any

import gridfs
import mongoengine
from gridfs.errors import NoFile
from gridfs.synchronous.grid_file import GridOut
from pymongo.errors import PyMongoError

from chat.errors import Refusal
from chat.models import Message, now

# 192 random bits in base64url: the name is all that guards the ciphertext from being fetched.
NAME_BYTES = 24
NAME = re.compile(r"[A-Za-z0-9_-]{32}")
BUCKET = "uploads"
CHUNK_BYTES = 1 << 20
QUOTA_WINDOW = timedelta(days=1)
# A client uploads before it sends; a day covers a night without a network in between.
UNREFERENCED_FOR = timedelta(days=1)
SWEEP_EVERY_S = 3600

log = logging.getLogger("sotto.uploads")


def _bucket() -> gridfs.GridFSBucket:
    return gridfs.GridFSBucket(mongoengine.get_db(), bucket_name=BUCKET, chunk_size_bytes=CHUNK_BYTES)


def _files() -> Any:
    return mongoengine.get_db()[f"{BUCKET}.files"]


def _chunks() -> Any:
    return mongoengine.get_db()[f"{BUCKET}.chunks"]


def _spent(owner: str) -> int:
    since = now() - QUOTA_WINDOW
    found = _files().find({"metadata.owner": owner, "uploadDate": {"$gt": since}}, {"length": 1})
    return sum(int(file["length"]) for file in found)


def check_quota(owner: str, size: int, quota: int) -> None:
    """Raise Refusal rate_limited if `size` more bytes would pass `owner`'s `quota` of bytes in 24 hours."""
    if _spent(owner) + size > quota:
        raise Refusal(
            "rate_limited",
            f"You have reached today's limit of {quota >> 20} MB of files. It frees itself within a day.",
            retry_after=3600,
        )


def keep(owner: str, stream: IO[bytes]) -> str:
    """Store a stream of ciphertext; the unguessable name it got. Raises Refusal validation when it is empty."""
    block = stream.read(CHUNK_BYTES)
    if not block:
        raise Refusal("validation", "The file is empty.", errors={"file": "The file is empty."})
    name = secrets.token_urlsafe(NAME_BYTES)
    try:
        _write(name, owner, stream, block)
    except BaseException:
        _chunks().delete_many({"files_id": name})  # what was written of it goes, too
        raise
    return name


def _write(name: str, owner: str, stream: IO[bytes], block: bytes) -> None:
    """Lay out `block` and the rest of `stream` as GridFS does, chunk by chunk: the driver's own writer holds back
    48 MB in memory before it writes any, for each upload that runs."""
    count = length = 0
    while block:
        _chunks().insert_one({"files_id": name, "n": count, "data": block})
        count, length = count + 1, length + len(block)
        block = stream.read(CHUNK_BYTES)
    file = {"_id": name, "filename": name, "length": length, "chunkSize": CHUNK_BYTES, "uploadDate": now()}
    _files().insert_one(file | {"metadata": {"owner": owner, "messages": []}})


def open_stream(name: str) -> GridOut:
    """The ciphertext under `name`, seekable, with `.length` in bytes; raises Refusal not_found."""
    try:
        if NAME.fullmatch(name):
            return _bucket().open_download_stream(name)
    except NoFile:
        pass
    raise Refusal("not_found", "File not found.")


def name_in(file_url: str) -> str:
    """The name at the end of a fileUrl of ours; raises Refusal validation when it is none."""
    found = re.search(r"/uploads/([A-Za-z0-9_-]{32})\Z", file_url)
    if not found:
        raise Refusal("validation", "fileUrl is not an upload of this server.", errors={"fileUrl": "Unknown upload."})
    return found[1]


def refer(name: str, message_id: str) -> None:
    """Note that a message refers to this upload, so that it is kept; raises Refusal validation if there is none."""
    if not _files().update_one({"_id": name}, {"$addToSet": {"metadata.messages": message_id}}).matched_count:
        raise Refusal("validation", "fileUrl is not an upload of this server.", errors={"fileUrl": "Unknown upload."})


def _unreferenced(before: datetime) -> Iterator[str]:
    for file in _files().find({"uploadDate": {"$lt": before}}, {"metadata.messages": 1}):
        messages = file.get("metadata", {}).get("messages", [])
        if not messages or Message.objects(message_id__in=messages).only("message_id").first() is None:
            yield file["_id"]


def sweep_for_ever(sleep: Callable[[float], None]) -> None:
    """Sweep now and then; `sleep` takes seconds and lets others work in the meantime."""
    while True:
        sleep(SWEEP_EVERY_S)
        try:
            sweep()
        except PyMongoError as fault:
            log.warning("sweep: %s", type(fault).__name__)


def sweep() -> int:
    """Delete what no message refers to since UNREFERENCED_FOR, and chunks whose upload never ended; how many files."""
    before = now() - UNREFERENCED_FOR
    swept = 0
    for name in _unreferenced(before):
        _bucket().delete(name)
        swept += 1
    chunks = _chunks()
    # A chunk's ObjectId carries the second it was written in: those of an upload that is still running are young.
    for name in chunks.distinct("files_id", {"n": 0}):
        if _files().find_one({"_id": name}, {"_id": 1}) is None:
            first = chunks.find_one({"files_id": name, "n": 0}, {"_id": 1})
            if first and first["_id"].generation_time < before:
                chunks.delete_many({"files_id": name})
    return swept

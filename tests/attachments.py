"""Files as people send them by the page, and what the server has of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import FilePayload, Locator, expect

from tests.browser import Person
from tests.people import Server
from tests.seals import KeyPair

MIB = 1 << 20
SEALED_CHUNK_BYTES = MIB + 16
CAMERA = "Makeshift Camera 7"
GPS_IFD, GPS_LATITUDE = 0x8825, 2


def photograph() -> bytes:
    """A JPEG of 2600 × 1600 whose EXIF names the camera and the place."""
    picture = Image.radial_gradient("L").resize((2600, 1600)).convert("RGB")
    exif = picture.getexif()
    exif[0x0110] = CAMERA
    exif.get_ifd(GPS_IFD).update({1: "N", GPS_LATITUDE: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    return file.getvalue()


def named(name: str, content: bytes, media_type: str = "application/octet-stream") -> FilePayload:
    """A file to choose."""
    return {"name": name, "mimeType": media_type, "buffer": content}


def choose(person: Person, *files: FilePayload) -> Locator:
    """Choose files for the open conversation; the dialog that shows them."""
    person.page.set_input_files("#file-upload", list(files))
    dialog = person.page.get_by_role("dialog", name="Send files")
    expect(dialog).to_be_visible()
    return dialog


def send_files(person: Person, *files: FilePayload, caption: str = "", original: bool = False) -> None:
    """Choose files and send them."""
    dialog = choose(person, *files)
    dialog.get_by_label("Caption").fill(caption)
    if original:
        dialog.get_by_label("Send the original").check()
    dialog.get_by_role("button", name="Send files").click()


def arrived(person: Person, name: str) -> Locator:
    """The row of the newest message with a file of this name."""
    row = person.page.locator(".message", has=person.page.locator(f'.open-file[title*="{name}"]')).last
    row.wait_for()
    return row


def fetched(person: Person, row: Locator) -> tuple[str, bytes]:
    """What pressing Download saves: its name and its bytes."""
    with person.page.expect_download() as download:
        row.get_by_role("button", name="Download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def pictured(person: Person, row: Locator) -> tuple[str, bytes]:
    """What the viewer shows of a picture, saved: its name and its bytes."""
    row.get_by_role("button", name="View image").click()
    viewer = person.page.get_by_role("dialog", name="Image")
    with person.page.expect_download() as download:
        viewer.get_by_role("button", name="Save image").click()
    viewer.get_by_role("button", name="Close image").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def newest(site: Server, sender: Person) -> dict[str, Any]:
    """The newest message of somebody, as the database keeps it."""
    return dict(site.database().messages.find_one({"sender": sender.id}, sort=[("created_at", -1), ("seq", -1)]))


def unsealed(person: Person, other: Person, envelope: str) -> dict[str, Any]:
    """The sealed part of a message with a file, opened with the keys in somebody's browser."""
    keys = person.keys_with(other)
    opened: dict[str, Any] = json.loads(KeyPair.of(keys["myPrivateKey"]).open(envelope, keys["theirPublicKey"]))
    return opened


def uploads_of(site: Server, owner: str) -> int:
    """How many uploads of an account the database keeps."""
    return int(site.database()["uploads.files"].count_documents({"metadata.owner": owner}))


def rewrite(site: Server, file_url: str, change: Callable[[bytes], bytes]) -> None:
    """Exchange the kept ciphertext for what `change` makes of it, as a hostile server may."""
    database, name = site.database(), file_url.rpartition("/")[2]
    chunks = database["uploads.chunks"]
    content = change(b"".join(chunk["data"] for chunk in chunks.find({"files_id": name}).sort("n")))
    chunks.delete_many({"files_id": name})
    blocks = [content[start : start + MIB] for start in range(0, len(content), MIB)]
    chunks.insert_many([{"files_id": name, "n": number, "data": block} for number, block in enumerate(blocks)])
    database["uploads.files"].update_one({"_id": name}, {"$set": {"length": len(content)}})

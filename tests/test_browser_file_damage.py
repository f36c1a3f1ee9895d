"""Whoever keeps the ciphertext cannot change it unseen: a damaged file is neither shown nor saved."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.attachments import (
    MIB,
    SEALED_CHUNK_BYTES,
    arrived,
    fetched,
    named,
    newest,
    photograph,
    rewrite,
    send_files,
)
from tests.browser import Person
from tests.people import Server

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
Change = Callable[[bytes], bytes]
WHOLE_BYTES = 2 * MIB + 5000
DAMAGED = "This file is damaged and was not opened."


def chunks(sealed: bytes) -> list[bytes]:
    """The sealed chunks of a file."""
    return [sealed[start : start + SEALED_CHUNK_BYTES] for start in range(0, len(sealed), SEALED_CHUNK_BYTES)]


def flip(sealed: bytes, at: int) -> bytes:
    """One bit is another."""
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


CHANGES: dict[str, Change] = {
    "without its last chunk": lambda sealed: b"".join(chunks(sealed)[:-1]),
    "without its first chunk": lambda sealed: b"".join(chunks(sealed)[1:]),
    "cut within a chunk": lambda sealed: sealed[:-700],
    "without the last byte": lambda sealed: sealed[:-1],
    "two chunks swapped": lambda sealed: b"".join([chunks(sealed)[1], chunks(sealed)[0], *chunks(sealed)[2:]]),
    "the last chunk twice": lambda sealed: sealed + chunks(sealed)[-1],
    "the first chunk twice": lambda sealed: chunks(sealed)[0] + sealed,
    "a byte too many": lambda sealed: sealed + b"\0",
    "a bit flipped at the start": lambda sealed: flip(sealed, 0),
    "a bit flipped in the last tag": lambda sealed: flip(sealed, len(sealed) - 1),
    "nothing but zeros": lambda sealed: bytes(len(sealed)),
}


def refused(person: Person, row: Locator, press: str) -> None:
    """Press, and be told that the file is damaged; nothing of it is shown, played or saved."""
    before = list(person.record.saved)
    row.get_by_role("button", name=press).click()
    expect(row.get_by_role("alert")).to_have_text(DAMAGED)
    expect(person.page.get_by_role("dialog", name="Image")).to_be_hidden()
    expect(row.locator("audio, video")).to_have_count(0)
    assert person.record.saved == before


@pytest.fixture(scope="module")
def kept(acquainted: Pair, site: Server) -> tuple[str, bytes]:
    """The fileUrl of a file of two chunks and a bit that lies on the server, and its ciphertext."""
    mara, jonas = acquainted
    network = jonas.context.new_cdp_session(jonas.page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})  # what is kept changes, as it never should
    send_files(mara, named("whole.bin", os.urandom(WHOLE_BYTES)))
    arrived(jonas, "whole.bin")
    file_url = str(newest(site, mara)["file_url"])
    taken: list[bytes] = []
    rewrite(site, file_url, lambda sealed: taken.append(sealed) or sealed)  # type: ignore[func-returns-value]
    return file_url, taken[0]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_was_changed_on_the_server_is_not_saved(
    pair: Pair, site: Server, kept: tuple[str, bytes], change: Change
) -> None:
    _, jonas = pair
    file_url, sealed = kept
    rewrite(site, file_url, lambda _: change(sealed))
    refused(jonas, arrived(jonas, "whole.bin"), "Download")


def test_a_file_that_was_put_back_as_it_was_opens(pair: Pair, site: Server, kept: tuple[str, bytes]) -> None:
    _, jonas = pair
    file_url, sealed = kept
    rewrite(site, file_url, lambda _: flip(sealed, MIB))
    refused(jonas, arrived(jonas, "whole.bin"), "Download")
    rewrite(site, file_url, lambda _: sealed)
    name, content = fetched(jonas, arrived(jonas, "whole.bin"))
    assert (name, len(content)) == ("whole.bin", WHOLE_BYTES)


def test_another_file_of_the_same_sender_is_not_taken_for_this_one(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    taken: list[bytes] = []
    for name in ("one.bin", "other.bin"):
        send_files(mara, named(name, os.urandom(5000)))
        arrived(jonas, name)
        rewrite(site, str(newest(site, mara)["file_url"]), lambda sealed: taken.append(sealed) or taken[0])
    refused(jonas, arrived(jonas, "other.bin"), "Download")


@pytest.mark.parametrize(
    ("media_type", "press"), [("image/jpeg", "View image"), ("audio/mpeg", "Play audio"), ("video/mp4", "Play video")]
)
def test_a_damaged_picture_or_sound_is_not_shown(pair: Pair, site: Server, media_type: str, press: str) -> None:
    mara, jonas = pair
    name = f"damaged.{media_type.rpartition('/')[2]}"
    send_files(mara, named(name, photograph(), media_type), original=media_type == "image/jpeg")
    row = arrived(jonas, name)
    rewrite(site, str(newest(site, mara)["file_url"]), lambda sealed: flip(sealed, len(sealed) // 2))
    refused(jonas, row, press)


def test_a_file_that_is_gone_says_so(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    jonas.tolerate_status(404)
    send_files(mara, named("gone.bin", b"soon gone"))
    row = arrived(jonas, "gone.bin")
    site.database()["uploads.files"].delete_one({"_id": newest(site, mara)["file_url"].rpartition("/")[2]})
    row.get_by_role("button", name="Download").click()
    expect(row.get_by_role("alert")).to_have_text("This file is no longer on the server.")

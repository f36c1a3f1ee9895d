"""Sending and opening files by the page: what arrives is what was sent, and a picture tells nothing of its place."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.attachments import (
    CAMERA,
    GPS_IFD,
    GPS_LATITUDE,
    MIB,
    arrived,
    choose,
    fetched,
    named,
    newest,
    photograph,
    pictured,
    send_files,
    unsealed,
    uploads_of,
)
from tests.browser import Enter, Person
from tests.people import Server
from tests.seals import KeyPair

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script><circle r="9"/></svg>'
HTML = b"<!doctype html><script>alert(3)</script><h1>hello</h1>"


def test_a_picture_arrives_smaller_and_without_what_the_camera_wrote_into_it(pair: Pair) -> None:
    mara, jonas = pair
    before = photograph()
    assert Image.open(io.BytesIO(before)).getexif().get_ifd(GPS_IFD)[GPS_LATITUDE] == (52.0, 31.0, 12.0)
    send_files(mara, named("beach.jpg", before, "image/jpeg"))
    name, content = pictured(jonas, arrived(jonas, "beach.webp"))
    assert name == "beach.webp"
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("WEBP", (2048, 1260))
    assert not picture.getexif()
    assert b"EXIF" not in content
    assert CAMERA.encode() not in content


def test_the_original_of_a_picture_arrives_byte_by_byte_when_asked_for(pair: Pair) -> None:
    mara, jonas = pair
    before = photograph()
    send_files(mara, named("original.jpg", before, "image/jpeg"), original=True)
    name, content = pictured(jonas, arrived(jonas, "original.jpg"))
    assert name == "original.jpg"
    assert hashlib.sha256(content).digest() == hashlib.sha256(before).digest()


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 17], ids=["empty", "a byte", "a chunk", "three chunks and more"])
def test_a_file_arrives_byte_by_byte_under_its_name(pair: Pair, size: int) -> None:
    mara, jonas = pair
    content = os.urandom(size)
    name = f"Plan – żółć {size}.json"
    send_files(mara, named(name, content))
    saved_as, saved = fetched(jonas, arrived(jonas, name))
    assert saved_as == name
    assert hashlib.sha256(saved).digest() == hashlib.sha256(content).digest()


def test_several_files_at_once_arrive_in_their_order_with_one_caption(pair: Pair) -> None:
    mara, jonas = pair
    files = [named(f"part-{number}.bin", os.urandom(1000 + number)) for number in range(3)]
    send_files(mara, *files, caption="three parts of one")
    for file in files:
        assert fetched(jonas, arrived(jonas, file["name"])) == (file["name"], file["buffer"])
    titles = jonas.page.locator(".open-file[title^=part-]").evaluate_all("found => found.map((one) => one.title)")
    assert [title.split(" ")[0] for title in titles] == ["part-0.bin", "part-1.bin", "part-2.bin"]
    expect(jonas.message("three parts of one")).to_have_count(1)
    expect(jonas.message("three parts of one").locator(".open-file")).to_have_attribute("title", re.compile("part-0"))


def test_what_is_chosen_is_shown_before_it_is_sent_and_may_be_left(pair: Pair) -> None:
    mara, _ = pair
    dialog = choose(mara, named("beach.jpg", photograph(), "image/jpeg"), named("notes.txt", b"12", "text/plain"))
    expect(dialog.locator("li")).to_have_text([re.compile(r"beach\.jpg"), re.compile(r"notes\.txt\s+2 B")])
    expect(dialog.locator("img:visible")).to_have_count(1)
    assert mara.until(lambda: dialog.locator("img").first.evaluate("it => it.naturalWidth"), "the preview") == 2600
    mara.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    mara.write("rather not")
    expect(mara.message("rather not")).to_have_attribute("data-status", re.compile("sent|delivered|read"))
    expect(mara.page.locator("[title*='notes.txt']")).to_have_count(0)


def test_a_picture_from_the_clipboard_is_offered(pair: Pair) -> None:
    mara, _ = pair
    mara.context.grant_permissions(["clipboard-read", "clipboard-write"])
    mara.page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(30, 20);
          canvas.getContext("2d").fillRect(5, 5, 9, 9);
          const png = await canvas.convertToBlob({ type: "image/png" });
          await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
        }"""
    )
    mara.input.focus()
    mara.page.keyboard.press("Control+V")
    dialog = mara.page.get_by_role("dialog", name="Send files")
    expect(dialog.locator("li")).to_contain_text("image.png")
    expect(mara.input).to_have_value("")
    dialog.get_by_role("button", name="Close without sending").click()


class Held:
    """A file, or a few words, held over somebody's page; the browser decides whether the page takes them."""

    def __init__(self, person: Person, file: Path | None = None) -> None:
        self._page = person.page
        self._devtools = person.context.new_cdp_session(person.page)
        words = [] if file else [{"mimeType": "text/plain", "data": "dragged words"}]
        self._data = {"items": words, "files": [str(file)] if file else [], "dragOperationsMask": 1}
        self._place = {"x": 0.0, "y": 0.0}

    def _do(self, event: str) -> None:
        self._devtools.send("Input.dispatchDragEvent", {"type": event, "data": self._data} | self._place)

    def over(self, selector: str, event: str = "dragOver") -> None:
        """Come to the middle of an element."""
        box = self._page.locator(selector).first.bounding_box()
        assert box
        self._place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._do(event)

    def enter(self, selector: str) -> None:
        """Come onto the page."""
        self.over(selector, "dragEnter")

    def leave(self) -> None:
        """Carry it away again, over the window's edge."""
        self._place = {"x": -10.0, "y": -10.0}
        self._do("dragOver")

    def drop(self) -> None:
        """Let go."""
        self._do("drop")


PLACES = (".nav-rail", ".contact-list li", ".chat-header", ".message-scroll", "#message-input", "#attach-file")


def drop_sign(person: Person) -> str:
    """What the page says while files are held over it."""
    return str(person.page.evaluate("getComputedStyle(document.querySelector('.chat-box'), '::after').content"))


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_is_dropped_anywhere_is_offered_to_the_open_conversation(
    pair: Pair, tmp_path: Path, place: str
) -> None:
    mara, jonas = pair
    name = f"dropped-{PLACES.index(place)}.txt"
    (tmp_path / name).write_text("dropped words")
    held = Held(mara, tmp_path / name)
    held.enter(place)
    held.drop()
    assert drop_sign(mara) == "none"
    mara.button("Send files").click()
    assert fetched(jonas, arrived(jonas, name)) == (name, b"dropped words")
    assert len(mara.context.pages) == 1


def test_the_sign_to_drop_files_is_steady_from_the_first_to_the_last(pair: Pair, tmp_path: Path) -> None:
    mara, _ = pair
    (tmp_path / "steady.txt").write_text("not dropped")
    held = Held(mara, tmp_path / "steady.txt")
    held.enter(PLACES[0])
    for place in PLACES + PLACES[::-1]:
        held.over(place)
        assert "Drop files" in drop_sign(mara)
    held.leave()
    mara.until(lambda: drop_sign(mara) == "none", "the sign to go")
    expect(mara.page.get_by_role("dialog", name="Send files")).to_be_hidden()


def test_a_file_that_nobody_is_there_for_is_neither_sent_nor_opened(pair: Pair, enter: Enter, tmp_path: Path) -> None:
    mara, _ = pair
    someone = enter("someone")
    (tmp_path / "swallowed.html").write_text("<h1>opened by the browser</h1>")
    mara.button("Open settings").click()
    for person, place in ((someone, ".chat-box"), (mara, "#settings h2"), (mara, ".nav-rail")):
        held = Held(person, tmp_path / "swallowed.html")
        held.enter(place)
        assert drop_sign(person) == "none"
        held.over(place)
        held.drop()
    mara.button("Close settings").click()
    for person in (someone, mara):
        # What the browser opens by itself it opens before the next page that is asked for.
        person.context.new_page().close()
        assert len(person.context.pages) == 1
        expect(person.page.get_by_role("dialog", name="Send files")).to_be_hidden()


def test_text_that_is_dragged_is_no_file(pair: Pair) -> None:
    mara, _ = pair
    held = Held(mara)
    held.enter("#message-input")
    assert drop_sign(mara) == "none"
    held.over("#message-input")
    held.drop()
    expect(mara.input).to_have_value("dragged words")
    mara.input.fill("")


def test_a_key_file_may_be_dropped_where_it_is_asked_for(pair: Pair, tmp_path: Path) -> None:
    mara, _ = pair
    (tmp_path / "keys.json").write_text("{}")
    mara.button("Import Keys").click()
    held = Held(mara, tmp_path / "keys.json")
    held.enter("#import-file")
    held.over("#import-file")
    held.drop()
    assert mara.until(lambda: mara.page.evaluate(CHOSEN_KEYS), "the file") == "keys.json"
    mara.button("Close settings").click()


CHOSEN_KEYS = "document.querySelector('#import-file').files[0]?.name"


def test_a_thumbnail_shows_at_once_without_fetching_the_picture(pair: Pair) -> None:
    mara, jonas = pair
    # Noise is what compresses worst: no picture is so full of detail that it has no thumbnail.
    noise = io.BytesIO()
    Image.effect_noise((1200, 900), 90).convert("RGB").save(noise, "JPEG")
    send_files(mara, named("noise.jpg", noise.getvalue(), "image/jpeg"))
    thumbnail = arrived(jonas, "noise.webp").locator("img.thumbnail")
    expect(thumbnail).to_be_visible()
    assert jonas.until(lambda: thumbnail.evaluate("it => it.naturalWidth"), "the thumbnail") <= 240
    assert not [request for request in jonas.record.requests if "/uploads/" in request]


def test_the_viewer_opens_and_closes_by_the_keyboard_and_gives_the_focus_back(pair: Pair) -> None:
    mara, jonas = pair
    send_files(mara, named("keys.jpg", photograph(), "image/jpeg"), caption="seen by keyboard")
    opener = arrived(jonas, "keys.webp").get_by_role("button", name="View image")
    opener.focus()
    jonas.page.keyboard.press("Enter")
    viewer = jonas.page.get_by_role("dialog", name="Image")
    expect(viewer.get_by_role("img", name="seen by keyboard")).to_be_visible()
    jonas.page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_picture_that_cannot_be_rid_of_what_the_camera_wrote_is_not_sent_in_silence(pair: Pair, site: Server) -> None:
    mara, _ = pair
    before = uploads_of(site, mara.id)
    send_files(mara, named("broken.jpg", b"no picture", "image/jpeg"))
    row = mara.page.locator(".transfer-row", has_text="broken.jpg")
    expect(row.get_by_role("alert")).to_have_text(
        "This cannot be read as a picture. It was not sent. "
        "The original goes as it is, with what the camera wrote into it (place, time, device)."
    )
    assert uploads_of(site, mara.id) == before
    row.get_by_role("button", name="Discard").click()
    expect(row).to_have_count(0)
    kept = "Sent as it is, with what the camera wrote into it"
    dialog = choose(mara, named("a.heic", b"heic", "image/heic"), named("b.pdf", b"pdf", "application/pdf"))
    expect(dialog.locator("li", has_text="a.heic")).to_contain_text(kept)
    expect(dialog.get_by_text(kept).locator("visible=true")).to_have_count(1)
    dialog.get_by_role("button", name="Close without sending").click()


def test_every_picture_that_cannot_be_read_waits_and_the_caption_goes_with_the_first_that_is_sent(pair: Pair) -> None:
    mara, jonas = pair
    unread = [named(f"unread-{number}.jpg", f"no picture {number}".encode(), "image/jpeg") for number in range(3)]
    send_files(mara, *unread, caption="words for the first of them")
    rows = mara.page.locator(".transfer-row")
    expect(rows.get_by_role("alert").filter(has_text="This cannot be read as a picture.")).to_have_count(3)
    rows.filter(has_text="unread-0.jpg").get_by_role("button", name="Discard").click()
    for number in (2, 1):
        row = rows.filter(has_text=f"unread-{number}.jpg")
        row.get_by_role("button", name="Send original").click()
        expect(row).to_have_count(0)
        arrived(jonas, f"unread-{number}.jpg")
    expect(jonas.message("words for the first of them")).to_have_count(1)
    expect(jonas.message("words for the first of them").locator(".open-file")).to_have_attribute(
        "title", re.compile("unread-2")
    )
    # The browser that receives it finds no picture in it either, and offers it as a file: byte by byte what it was.
    row = arrived(jonas, "unread-1.jpg")
    row.get_by_role("button", name="View image").click()
    assert fetched(jonas, row) == ("unread-1.jpg", b"no picture 1")


def test_a_name_that_turns_its_direction_is_shown_as_it_is(pair: Pair) -> None:
    mara, jonas = pair
    send_files(mara, named("\u202egnp.exe", b"MZ"))
    row = arrived(jonas, "gnp.exe")
    assert "\u202e" not in row.inner_text()
    assert fetched(jonas, row)[0] == "gnp.exe"


def test_a_thumbnail_of_too_many_pixels_is_not_decoded(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    send_files(mara, named("canal.jpg", photograph(), "image/jpeg"))
    row = arrived(jonas, "canal.webp")
    expect(row.locator(".thumbnail")).to_be_visible()
    part = unsealed(jonas, mara, newest(site, mara)["text"])
    part["file"]["thumbnail"] = base64.b64encode(BOMB).decode()
    keys = mara.keys_with(jonas)
    sealed = KeyPair.of(keys["myPrivateKey"]).seal(json.dumps(part), keys["theirPublicKey"])
    site.database().messages.update_one({"_id": newest(site, mara)["_id"]}, {"$set": {"text": sealed}})
    jonas.reload()
    jonas.open_chat(mara)
    row = arrived(jonas, "canal.webp")
    expect(row.get_by_role("button", name="View image")).to_be_visible()
    expect(row.locator(".thumbnail")).to_be_hidden()


# Lossless WebP of 16383 × 16383 pixels of one colour, which decode to a gigabyte.
BOMB = b"RIFF\x1c\x00\x00\x00WEBPVP8L\x0f\x00\x00\x00\x2f\xfe\xbf\xff\x0f\x00\x07\x10\xfd\x8f\xfe\x07\x22\xa2\xff\x01"


SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"exif": b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00" + b"\x00" * 300}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"}),
    ("AVIF", {}),
]


@pytest.mark.parametrize(("shape", "options"), SHAPES, ids=[f"{name} {list(more)}" for name, more in SHAPES])
def test_the_pixels_of_a_picture_are_known_before_it_is_decoded(
    pair: Pair, shape: str, options: dict[str, Any]
) -> None:
    mara, _ = pair
    made = io.BytesIO()
    Image.linear_gradient("L").resize((37, 23)).convert("RGB").save(made, shape, **options)
    assert mara.page.evaluate(PIXELS, list(made.getvalue())) == [37 * 23, 37 * 23]
    assert mara.page.evaluate(PIXELS_OF, list(made.getvalue()[:8])) is None, "too short to say"


PIXELS_OF = """async (bytes) => {
  const { pixelsOf } = await import("/static/js/pixels.js");
  const pixels = pixelsOf(new Uint8Array(bytes));
  return Number.isFinite(pixels) ? pixels : null;
}"""
PIXELS = f"""async (bytes) => {{
  const {{ width, height }} = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  return [await ({PIXELS_OF})(bytes), width * height];
}}"""


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [("drawing.svg", "image/svg+xml", SVG), ("page.html", "text/html", HTML)],
)
def test_a_drawing_or_a_page_is_a_download_and_never_rendered(
    pair: Pair, name: str, media_type: str, content: bytes
) -> None:
    mara, jonas = pair
    dialog = choose(mara, named(name, content, media_type))
    expect(dialog.locator("img:visible")).to_have_count(0)
    dialog.get_by_role("button", name="Send files").click()
    row = arrived(jonas, name)
    assert fetched(jonas, row) == (name, content)
    expect(row.locator("img:visible, iframe, object, embed")).to_have_count(0)
    expect(jonas.page.get_by_role("dialog", name="Image")).to_be_hidden()
    assert len(jonas.context.pages) == 1


@pytest.mark.parametrize(
    ("media_type", "press"), [("image/png", "View image"), ("audio/mpeg", "Play audio"), ("video/mp4", "Play video")]
)
def test_what_only_claims_to_be_a_picture_or_a_sound_is_offered_as_a_file(
    pair: Pair, media_type: str, press: str
) -> None:
    mara, jonas = pair
    name = f"claim.{media_type.rpartition('/')[2]}"
    send_files(mara, named(name, SVG, media_type), original=media_type.startswith("image/"))
    row = arrived(jonas, name)
    row.get_by_role("button", name=press).click()
    expect(row.get_by_role("alert")).to_have_text("This browser cannot show this file. It can be downloaded.")
    expect(jonas.page.get_by_role("dialog", name="Image")).to_be_hidden()
    assert fetched(jonas, row) == (name, SVG)

"""The documentation’s pictures: `python -m tests.screenshots` plays a conversation and writes docs/images/*.png."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.attachments import arrived, choose, named, photograph
from tests.browser import Person, connect
from tests.calling import MEDIA
from tests.doorway import chromium
from tests.people import Server
from tests.site import HOUSE

IMAGES = HOUSE / "docs" / "images"
MAX_BYTES = 200_000
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
OTHERS = ("ada", "nils", "priya")
TALK = (
    ("jonas", "Morning! Did the documents arrive?"),
    ("mara", "They did. All 40 pages, and the annex."),
    ("mara", "I read them twice. It is what you thought."),
    ("jonas", "Then we meet on Thursday. Bring nothing but yourself 🙂"),
    ("mara", "The café by the canal? https://www.openstreetmap.org/"),
    ("jonas", "Yes, ten o’clock. I will tell Ines, in person."),
    ("mara", "Good. Until then, only here."),
)


def enter(browser: Browser, site: Server, name: str, **options: Any) -> Person:
    """Somebody signed in, by this very name."""
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", "color_scheme": "light"} | options)
    return Person(context, site.origin, name).sign_in()


def shoot(person: Person, name: str) -> None:
    """Write a picture of what the person sees, when nothing moves any more."""
    person.page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
    path = IMAGES / f"{name}.png"
    person.page.screenshot(path=path)
    size = path.stat().st_size
    assert size <= MAX_BYTES, f"{path.name} takes {size} bytes"
    print(f"{path.relative_to(HOUSE)}: {size} bytes")


def quiet(person: Person) -> None:
    """Wait until the banner has gone."""
    expect(person.banner).to_be_hidden()


def play(mara: Person, jonas: Person) -> None:
    """The two exchange keys and write; the picture of the request is taken on the way."""
    mara.add(jonas)
    mara.ask()
    expect(jonas.modal).to_be_visible()
    quiet(jonas)
    shoot(jonas, "key-exchange")
    jonas.accept()
    mara.wait_for_state(jonas, "connected")
    jonas.wait_for_state(mara, "connected")
    jonas.open_chat(mara)
    for name, words in TALK:
        writer, reader = (mara, jonas) if name == "mara" else (jonas, mara)
        writer.write(words)
        expect(reader.message(words)).to_have_count(1)
    expect(mara.page.locator(".message.own:not([data-status=read])")).to_have_count(0)
    quiet(mara)


def call(mara: Person, jonas: Person) -> None:
    """A call that comes in, and the same with the cameras on."""
    jonas.button(f"Start call with {mara.username}").click()
    expect(mara.page.locator("#incoming-call")).to_be_visible()
    shoot(mara, "incoming-call")
    mara.button("Answer").click()
    expect(mara.page.locator(".call-quality")).to_contain_text("Connection good")
    for one in (mara, jonas):
        one.button("Camera").click()
    for video in (".their-video", ".my-video"):
        mara.until(lambda video=video: mara.page.evaluate(PLAYS, video), "moving pictures")  # type: ignore[misc]
    quiet(mara)
    shoot(mara, "call")
    mara.button("End call").click()
    expect(jonas.page.locator(".call-panel")).to_be_hidden()


PLAYS = "(selector) => document.querySelector(selector).videoWidth > 0"


def send_media(mara: Person, jonas: Person) -> None:
    """A picture with a caption, a file and a voice message; what is shown before they go is taken on the way."""
    files = named("canal.jpg", photograph(), "image/jpeg"), named("annex.pdf", b"%PDF-1.7" * 40_000, "application/pdf")
    dialog = choose(jonas, *files)
    dialog.get_by_label("Caption").fill("This is where the barge lies.")
    shoot(jonas, "sending-files")
    dialog.get_by_role("button", name="Send files").click()
    arrived(mara, "annex.pdf")
    jonas.button("Start audio recording").click()
    jonas.until(lambda: jonas.page.locator(".recording-time").inner_text() == "0:04", "four seconds")
    shoot(jonas, "recording")
    jonas.button("Send message").click()
    mara.button("Play audio").or_(mara.page.get_by_role("button", name="Play audio")).last.click()
    expect(mara.page.locator(".player-time")).to_contain_text("0:0")
    mara.button("Pause").click()
    mara.page.locator(".message-scroll").evaluate("scroll => { scroll.scrollTop = scroll.scrollHeight; }")
    quiet(mara)
    shoot(mara, "files-and-voice")


def take(browser: Browser, site: Server) -> None:
    """All pictures."""
    stranger = browser.new_context(viewport=DESKTOP, locale="en-GB", color_scheme="light").new_page()
    stranger.goto(site.origin)
    login = Person(stranger.context, site.origin, "")
    login.page = stranger
    shoot(login, "login")
    mara, jonas = (enter(browser, site, name, permissions=MEDIA) for name in ("mara", "jonas"))
    expect(mara.page.get_by_alt_text("QR code of my ID")).to_be_visible()
    quiet(mara)
    shoot(mara, "empty")
    for name in OTHERS:
        other = enter(browser, site, name)
        connect(other, mara)
        other.write("See you soon." if name != "priya" else "Thank you!")
        expect(mara.message("See you soon." if name != "priya" else "Thank you!")).to_have_count(1)
    play(mara, jonas)
    mara.input.blur()
    shoot(mara, "conversation")
    mara.page.emulate_media(color_scheme="dark")
    shoot(mara, "conversation-dark")
    mara.page.emulate_media(color_scheme="light")
    mara.button("Open settings").click()
    shoot(mara, "settings")
    mara.button("Close settings").click()
    mara.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    mara.page.locator(".message-scroll").evaluate("scroll => { scroll.scrollTop = scroll.scrollHeight; }")
    shoot(mara, "phone")
    mara.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    send_media(mara, jonas)
    call(mara, jonas)


def main() -> None:
    """Serve a Sotto of its own and take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Server(Path(folder))
        try:
            take(browser, site)
        finally:
            site.stop()


if __name__ == "__main__":
    main()

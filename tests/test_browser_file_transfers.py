"""Files on their way: cancelled, cut, tried again, left; there is a whole message or none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Route, expect

from tests.attachments import MIB, arrived, fetched, named, send_files, uploads_of
from tests.browser import Enter, Person
from tests.people import Server
from tests.wire import Wire

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
SLOW_BYTES_PER_S = 512 * 1024


@contextmanager
def slow_line(person: Person) -> Iterator[None]:
    """Whoever uploads or downloads inside, does it at SLOW_BYTES_PER_S."""
    network = person.context.new_cdp_session(person.page)
    speed = {"offline": False, "latency": 0, "downloadThroughput": SLOW_BYTES_PER_S}
    network.send("Network.emulateNetworkConditions", speed | {"uploadThroughput": SLOW_BYTES_PER_S})
    yield
    free = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", free)
    network.detach()


def held_at(person: Person, address: str) -> list[Route]:
    """What somebody's page asks for at an address; it waits there."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    person.page.route(address, hold)
    return held


def in_the_middle(row: Locator, stage: str) -> None:
    """Wait until a transfer has come some way, and is not through."""
    expect(row.locator(".transfer-text")).to_have_text(re.compile(rf"{stage} .* \(([1-9]|[1-8]\d) %\)"))


def test_an_upload_that_is_cancelled_in_the_middle_leaves_nothing(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    before = uploads_of(site, mara.id)
    row = mara.page.locator(".transfer-row")
    with slow_line(mara):
        send_files(mara, named("cancelled.bin", os.urandom(4 * MIB)), caption="never to be seen")
        in_the_middle(row, "Uploading")
        row.get_by_role("button", name="Cancel").click()
        expect(row.get_by_role("alert")).to_have_text("Cancelled.")
    row.get_by_role("button", name="Discard").click()
    expect(row).to_have_count(0)
    mara.write("after the cancelled one")
    expect(jonas.message("after the cancelled one")).to_have_count(1)
    for person in pair:
        expect(person.message("never to be seen")).to_have_count(0)
        expect(person.page.locator("[title*='cancelled.bin']")).to_have_count(0)
    assert uploads_of(site, mara.id) == before


def test_a_file_that_is_cancelled_while_it_is_sealed_is_not_uploaded(pair: Pair, site: Server) -> None:
    mara, _ = pair
    before = uploads_of(site, mara.id)
    # The press comes while the last chunk is being sealed.
    mara.page.evaluate(
        """() => {
          const encrypt = crypto.subtle.encrypt.bind(crypto.subtle);
          crypto.subtle.encrypt = (...given) => {
            document.querySelector(".transfer-row .cancel-transfer").click();
            crypto.subtle.encrypt = encrypt;
            return encrypt(...given);
          };
        }"""
    )
    send_files(mara, named("hasty.bin", b"one chunk"))
    expect(mara.page.locator(".transfer-row").get_by_role("alert")).to_have_text("Cancelled.")
    mara.page.get_by_role("button", name="Discard").click()
    assert not [request for request in mara.record.requests if "/api/upload" in request]
    assert uploads_of(site, mara.id) == before


def test_an_upload_that_failed_is_sent_by_retry(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    mara.tolerate("ERR_CONNECTION_RESET")
    before = uploads_of(site, mara.id)
    content = os.urandom(100_000)
    mara.page.route("**/api/upload", lambda route: route.abort("connectionreset"), times=1)
    send_files(mara, named("retried.bin", content), caption="at the second try")
    row = mara.page.locator(".transfer-row")
    expect(row.get_by_role("alert")).to_have_text("The connection was lost.")
    row.get_by_role("button", name="Retry").click()
    assert fetched(jonas, arrived(jonas, "retried.bin")) == ("retried.bin", content)
    expect(row).to_have_count(0)
    expect(jonas.message("at the second try")).to_have_count(1)
    assert uploads_of(site, mara.id) == before + 1


def test_the_keyboard_stays_with_a_file_from_cancel_to_retry_and_then_goes_on_to_the_message(pair: Pair) -> None:
    mara, jonas = pair
    held = held_at(mara, "**/api/upload")
    send_files(mara, named("by-keyboard.bin", b"by keyboard"))
    row = mara.page.locator(".transfer-row")
    cancel, retry = (row.get_by_role("button", name=name) for name in ("Cancel", "Retry"))
    mara.until(lambda: len(held) == 1, "the first upload")
    cancel.press("Enter")
    expect(retry).to_be_focused()
    retry.press("Enter")
    expect(cancel).to_be_focused()
    mara.until(lambda: len(held) == 2, "the second upload")
    held[1].continue_()
    arrived(jonas, "by-keyboard.bin")
    expect(row).to_have_count(0)
    expect(mara.input).to_be_focused()
    mara.page.unroute("**/api/upload")


def test_a_file_that_is_through_leaves_the_focus_where_it_is(pair: Pair) -> None:
    mara, jonas = pair
    held = held_at(mara, "**/api/upload")
    send_files(mara, named("unwatched.bin", b"unwatched"))
    mara.until(lambda: held, "the upload")
    mara.button("Open settings").focus()
    held[0].continue_()
    arrived(jonas, "unwatched.bin")
    expect(mara.page.locator(".transfer-row")).to_have_count(0)
    expect(mara.button("Open settings")).to_be_focused()
    mara.page.unroute("**/api/upload")


def test_a_download_that_is_cancelled_gives_the_focus_back(pair: Pair) -> None:
    mara, jonas = pair
    send_files(mara, named("left-by-keyboard.bin", b"left"))
    row = arrived(jonas, "left-by-keyboard.bin")
    held = held_at(jonas, "**/uploads/**")
    row.get_by_role("button", name="Download").press("Enter")
    jonas.until(lambda: held, "the download")
    row.get_by_role("button", name="Cancel").press("Enter")
    expect(row.get_by_role("alert")).to_have_text("Cancelled.")
    expect(row.get_by_role("button", name="Download")).to_be_focused()
    jonas.page.unroute("**/uploads/**")


def test_what_the_server_says_of_a_refused_upload_is_shown(pair: Pair) -> None:
    mara, _ = pair
    mara.tolerate_status(413)

    def refuse(route: Route) -> None:
        route.fulfill(status=413, json={"code": "too_large", "message": "Files may have 50 MB at most, encrypted."})

    mara.page.route("**/api/upload", refuse, times=1)
    send_files(mara, named("large.bin", b"as if it were large"))
    row = mara.page.locator(".transfer-row")
    expect(row.get_by_role("alert")).to_have_text("Files may have 50 MB at most, encrypted.")
    row.get_by_role("button", name="Discard").click()


def test_what_failed_with_the_line_goes_again_when_the_line_is_back(pair: Pair) -> None:
    mara, jonas = pair
    mara.tolerate("ERR_INTERNET_DISCONNECTED")
    wire = Wire(mara)
    mara.open_chat(jonas)
    mara.page.route("**/api/upload", lambda route: route.abort("internetdisconnected"))
    send_files(mara, named("later.bin", b"later"))
    expect(mara.page.locator(".transfer-row")).to_contain_text("The connection was lost.")
    mara.page.unroute("**/api/upload")
    wire.cut()
    arrived(jonas, "later.bin")
    expect(mara.page.locator(".transfer-row")).to_have_count(0)


def test_files_that_wait_are_shown_and_may_be_left_out(pair: Pair) -> None:
    mara, jonas = pair
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    mara.page.route("**/api/upload", hold)
    send_files(mara, *(named(f"{name}.bin", name.encode()) for name in ("one", "two", "three")))
    mara.until(lambda: held, "the first upload")
    rows = mara.page.locator(".transfer-row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("Waiting…")
    rows.nth(1).get_by_role("button", name="Discard").click()
    held[0].continue_()
    arrived(jonas, "three.bin")
    mara.page.unroute("**/api/upload")
    expect(rows).to_have_count(0)
    expect(jonas.page.locator('.open-file[title*="two.bin"]')).to_have_count(0)


def test_a_file_that_is_too_large_is_said_so_before_it_is_sent(pair: Pair) -> None:
    mara, jonas = pair
    mara.page.evaluate(OFFER_SIZES)
    dialog = mara.page.get_by_role("dialog", name="Send files")
    expect(dialog.locator("li", has_text="film.mp4")).to_contain_text("Too large: 50 MB at most. It is not sent.")
    dialog.get_by_role("button", name="Send files").click()
    arrived(jonas, "note.txt")
    expect(mara.page.locator(".transfer-row")).to_have_count(0)


# Two files, one of them larger than the server takes.
OFFER_SIZES = """() => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(53_000_000)], "film.mp4", { type: "video/mp4" }));
  files.items.add(new File(["a note"], "note.txt", { type: "text/plain" }));
  const chooser = document.querySelector("#file-upload");
  chooser.files = files.files;
  chooser.dispatchEvent(new Event("change"));
}"""


def test_a_reload_in_the_middle_leaves_no_half_message(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    before = uploads_of(site, mara.id)
    with slow_line(mara):
        send_files(mara, named("left.bin", os.urandom(4 * MIB)), caption="left in the middle")
        in_the_middle(mara.page.locator(".transfer-row"), "Uploading")
        asked: list[str] = []
        mara.page.once("dialog", lambda dialog: asked.append(dialog.type) or dialog.accept())
        mara.page.reload()
        assert asked == ["beforeunload"]
    mara.reload()
    mara.open_chat(jonas)
    mara.write("after the reload")
    expect(jonas.message("after the reload")).to_have_count(1)
    for person in pair:
        expect(person.message("left in the middle")).to_have_count(0)
    assert uploads_of(site, mara.id) == before


def test_a_download_that_is_cancelled_saves_nothing_and_may_be_begun_again(pair: Pair) -> None:
    mara, jonas = pair
    content = os.urandom(4 * MIB)
    send_files(mara, named("begun-twice.bin", content))
    row = arrived(jonas, "begun-twice.bin")
    with slow_line(jonas):
        row.get_by_role("button", name="Download").click()
        in_the_middle(row, "Downloading")
        row.get_by_role("button", name="Cancel").click()
        expect(row.get_by_role("alert")).to_have_text("Cancelled.")
    assert not jonas.record.saved
    assert fetched(jonas, row) == ("begun-twice.bin", content)


def test_a_file_that_was_changed_since_it_was_chosen_is_not_sent(pair: Pair, tmp_path: Path) -> None:
    mara, _ = pair
    file = tmp_path / "moving.bin"
    file.write_bytes(b"as it was chosen")
    mara.page.set_input_files("#file-upload", file)
    expect(mara.page.get_by_role("dialog", name="Send files")).to_contain_text("moving.bin")
    file.unlink()
    mara.button("Send files").click()
    row = mara.page.locator(".transfer-row")
    expect(row.get_by_role("alert")).to_contain_text("The file cannot be read")
    row.get_by_role("button", name="Discard").click()


def test_files_on_their_way_are_shown_in_their_own_conversation_only(pair: Pair, enter: Enter) -> None:
    mara, jonas = pair
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    mara.page.route("**/api/upload", hold)
    send_files(mara, named("first.bin", b"the first"), named("second.bin", b"the second"))
    mara.until(lambda: len(held) == 1, "the first upload")
    expect(mara.page.locator(".transfer-row:visible")).to_have_count(2)
    mara.add(enter("someone"))
    for number in (1, 2):
        mara.until(lambda number=number: len(held) == number, f"upload {number}")
        expect(mara.page.locator(".transfer-row:visible")).to_have_count(0)
        held[-1].continue_()
    for name, content in (("first.bin", b"the first"), ("second.bin", b"the second")):
        assert fetched(jonas, arrived(jonas, name)) == (name, content)
    mara.page.unroute("**/api/upload")

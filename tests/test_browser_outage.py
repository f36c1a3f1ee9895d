"""The line is lost, the server dies, a message is refused: nothing written is lost, doubled or swapped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, WebSocketRoute, expect

from tests.browser import Enter, Person, connect
from tests.doorway import doorway
from tests.people import Server

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
LOST = "Connection lost. Reconnecting…"


@pytest.fixture(scope="module")
def mortal(instance: Path) -> Iterator[Server]:
    """A Sotto that may be killed."""
    running = Server(instance)
    yield running
    running.stop()


def test_a_server_that_dies_and_comes_back_loses_and_doubles_nothing(browser: Browser, mortal: Server) -> None:
    with doorway(browser, mortal.origin) as enter:
        mara, jonas = enter("mara"), enter("jonas")
        connect(mara, jonas)
        for one in (mara, jonas):
            one.tolerate("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection")
        mara.write("before the end")
        expect(jonas.message("before the end")).to_have_count(1)
        mortal.kill()
        for one in (mara, jonas):
            expect(one.banner).to_contain_text(LOST)
        for number in range(3):
            mara.write(f"meanwhile {number}")
            expect(mara.message(f"meanwhile {number}")).to_have_attribute("data-status", "waiting")
        jonas.write("meanwhile from here")
        expect(jonas.message("meanwhile from here").locator(".tick:visible")).to_have_text("Waiting")
        mortal.start()
        expected = ["before the end", "meanwhile 0", "meanwhile 1", "meanwhile 2"]
        for one in (mara, jonas):
            expect(one.message("meanwhile from here")).to_have_attribute(
                "data-status", re.compile("sent|delivered|read")
            )
            expect(one.message("meanwhile 2")).to_have_attribute("data-status", re.compile("sent|delivered|read"))
            assert [text for text in one.texts() if "from here" not in text] == expected
            expect(one.banner).to_be_hidden()
        for one, other in ((mara, jonas), (jonas, mara)):
            shown = one.texts()
            one.reload()
            one.open_chat(other)
            assert sorted(one.texts()) == sorted(shown)


class Cut:
    """Between a page and the server's sockets: `is_open` says whether anything passes."""

    def __init__(self, person: Person) -> None:
        self.is_open = True
        self._lines: list[WebSocketRoute] = []
        person.context.route_web_socket(re.compile("/socket.io/"), self._on_socket)
        person.context.route(re.compile("/socket.io/"), self._on_poll)
        person.tolerate("ERR_FAILED", "WebSocket connection")

    def _on_socket(self, page: WebSocketRoute) -> None:
        if not self.is_open:
            page.close(code=1011)
            return
        server = page.connect_to_server()
        server.on_message(lambda frame: self.from_server(page, frame))
        self._lines.append(page)

    def from_server(self, page: WebSocketRoute, frame: str | bytes) -> None:
        """A frame for the page."""
        page.send(frame)

    def _on_poll(self, route: Route) -> None:
        if self.is_open:
            route.continue_()
        else:
            route.abort()

    def close(self) -> None:
        """Let nothing pass any more."""
        self.is_open = False
        for line in self._lines:
            line.close(code=1011)
        self._lines.clear()


@pytest.fixture
def fresh(enter: Enter) -> Pair:
    """Two with keys and an empty conversation."""
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    return mara, jonas


def test_a_message_that_waits_survives_a_reload_of_the_page(fresh: Pair) -> None:
    mara, jonas = fresh
    cut = Cut(mara)
    mara.reload()
    mara.open_chat(jonas)
    cut.close()
    expect(mara.banner).to_contain_text(LOST)
    mara.write("written in the dark")
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "waiting")
    mara.page.reload()
    mara.open_chat(jonas)
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "waiting")
    cut.is_open = True
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "read")
    expect(jonas.page.locator(".message .body")).to_have_text(["written in the dark"])
    expect(mara.page.locator(".message .body")).to_have_text(["written in the dark"])
    assert mara.page.evaluate(COUNT_OUTBOX, mara.id) == 0


COUNT_OUTBOX = """(id) => new Promise((resolve, reject) => {
  const opening = indexedDB.open(`sotto:${id}`);
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const counting = opening.result.transaction("outbox").objectStore("outbox").count();
    counting.onsuccess = () => resolve(counting.result);
  };
})"""


class Deaf(Cut):
    """Loses the first acknowledgement of a message, and the line with it."""

    is_deaf = False
    lost = 0

    def from_server(self, page: WebSocketRoute, frame: str | bytes) -> None:
        if self.is_deaf and '"seq"' in str(frame) and str(frame).startswith("43"):
            self.is_deaf = False
            self.lost += 1
            page.close(code=1011)
        else:
            page.send(frame)


def test_a_message_whose_acknowledgement_is_lost_is_stored_once(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    line = Deaf(mara)
    mara.reload()
    mara.open_chat(jonas)
    line.is_deaf = True
    mara.write("said once")
    expect(mara.message("said once")).to_have_attribute("data-status", "read")
    mara.write("and then this")
    expect(jonas.page.locator(".message .body")).to_have_text(["said once", "and then this"])
    expect(mara.page.locator(".message .body")).to_have_text(["said once", "and then this"])
    assert line.lost == 1
    assert site.database().messages.count_documents({"sender": mara.id}) == 2


def test_a_message_that_is_refused_shows_why_and_may_be_tried_again(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    jonas.page.goto("about:blank")
    users = site.database().users
    account = users.find_one_and_delete({"_id": jonas.id})
    mara.write("to nobody")
    row = mara.message("to nobody")
    expect(row).to_have_attribute("data-status", "failed")
    expect(row).to_have_attribute("title", "User not found.")
    expect(row.locator(".tick:visible")).to_have_text("Not sent")
    users.insert_one(account)
    row.get_by_role("button", name="Retry").click()
    expect(row).to_have_attribute("data-status", "sent")
    expect(row.get_by_role("button", name="Retry")).to_be_hidden()
    jonas.page.goto(jonas.origin)
    jonas.open_chat(mara)
    expect(jonas.page.locator(".message .body")).to_have_text(["to nobody"])


def test_what_arrived_while_the_line_was_cut_comes_with_it_in_order(fresh: Pair) -> None:
    mara, jonas = fresh
    cut = Cut(mara)
    mara.reload()
    mara.open_chat(jonas)
    cut.close()
    expect(mara.banner).to_contain_text(LOST)
    for number in range(4):
        jonas.write(f"missed {number}")
    expect(jonas.message("missed 3")).to_have_attribute("data-status", "sent")
    cut.is_open = True
    expect(mara.page.locator(".message .body")).to_have_text([f"missed {number}" for number in range(4)])
    expect(mara.banner).to_be_hidden()

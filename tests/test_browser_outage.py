"""The line is lost, the server dies, a message is refused: nothing written is lost, doubled or swapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import Enter, Person, connect
from tests.doorway import doorway
from tests.people import Server
from tests.wire import Wire, shorten

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


def test_a_server_that_was_put_back_is_noticed_and_what_comes_then_is_news(browser: Browser, mortal: Server) -> None:
    with doorway(browser, mortal.origin) as enter:
        mara, jonas = enter("mara"), enter("jonas")
        connect(mara, jonas)
        for one in (mara, jonas):
            one.tolerate("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection")
        for number in range(4):
            jonas.write(f"word {number}")
            expect(mara.message(f"word {number}")).to_have_count(1)
        mara.until(lambda: (mara.kept("myContacts") or [{}])[0].get("lastSeq") == 4, "the newest number")
        mortal.kill()
        mortal.database().messages.delete_many({"sender": jonas.id, "seq": {"$gt": 2}})
        mortal.start()
        for one, other in ((mara, jonas), (jonas, mara)):
            expect(one.banner).to_contain_text(f"no longer has messages with {other.username}")
        jonas.write("another word")
        for one in (mara, jonas):
            expect(one.page.locator(".message .body")).to_have_text(["word 0", "word 1", "another word"])


@pytest.fixture
def fresh(enter: Enter) -> Pair:
    """Two with keys and an empty conversation."""
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    return mara, jonas


def test_a_message_that_waits_survives_a_reload_of_the_page(fresh: Pair) -> None:
    mara, jonas = fresh
    wire = Wire(mara)
    wire.loses = lambda frame: '"send_message"' in frame
    mara.open_chat(jonas)
    mara.write("written in the dark")
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "waiting")
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "waiting")
    wire.cut()
    expect(mara.message("written in the dark")).to_have_attribute("data-status", "read")
    for one in (mara, jonas):
        expect(one.page.locator(".message .body")).to_have_text(["written in the dark"])
    mara.until(lambda: mara.page.evaluate(COUNT_OUTBOX, mara.id) == 0, "an empty outbox")


def test_what_a_closed_tab_left_behind_is_sent_by_another_when_the_line_is_back(fresh: Pair) -> None:
    mara, jonas = fresh
    wire = Wire(mara)
    wire.loses = lambda frame: '"send_message"' in frame
    mara.open_chat(jonas)
    tab = mara.second_tab()
    tab.open_chat(jonas)
    tab.write("written in a tab that was closed")
    expect(tab.message("written in a tab that was closed")).to_have_attribute("data-status", "waiting")
    tab.page.close()
    wire.cut(-2)
    for one in (mara, jonas):
        expect(one.message("written in a tab that was closed")).to_have_count(1)
    mara.until(lambda: mara.page.evaluate(COUNT_OUTBOX, mara.id) == 0, "an empty outbox")


COUNT_OUTBOX = """(id) => new Promise((resolve, reject) => {
  const opening = indexedDB.open(`sotto:${id}`);
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const counting = opening.result.transaction("outbox").objectStore("outbox").count();
    counting.onsuccess = () => resolve(counting.result);
  };
})"""


def test_a_message_whose_acknowledgement_is_lost_is_stored_once(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    wire = Wire(mara)
    mara.open_chat(jonas)
    lost: list[str] = []
    wire.loses = lambda frame: frame.startswith("43") and '"seq"' in frame and not lost.append(frame)
    mara.write("said once")
    expect(jonas.message("said once")).to_have_count(1)
    mara.until(lambda: lost, "the acknowledgement to be lost")
    assert mara.message("said once").get_attribute("data-status") == "waiting"
    wire.cut()
    expect(mara.message("said once")).to_have_attribute("data-status", "read")
    mara.write("and then this")
    for one in (mara, jonas):
        expect(one.page.locator(".message .body")).to_have_text(["said once", "and then this"])
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


def test_what_was_lost_on_the_way_here_comes_in_order_when_the_line_is_back(fresh: Pair) -> None:
    mara, jonas = fresh
    wire = Wire(mara)
    mara.open_chat(jonas)
    wire.loses = lambda frame: '"receive_message"' in frame
    words = [f"missed {number}" for number in range(4)]
    for word in words:
        jonas.write(word)
    expect(jonas.message("missed 3")).to_have_attribute("data-status", "sent")
    wire.cut()
    expect(mara.page.locator(".message .body")).to_have_text(words)
    expect(mara.banner).to_be_hidden()


@pytest.mark.parametrize("answer", ["", '44{"message":"The server is busy."}'])
def test_who_is_not_let_in_at_once_comes_again(fresh: Pair, answer: str) -> None:
    mara, jonas = fresh
    shorten(mara, "wire", "ADMISSION_MS")
    wire = Wire(mara)
    turned_away: list[str] = []

    def turn_away(frame: str) -> str:
        if not frame.startswith("40") or len(turned_away) == 2:
            return frame
        turned_away.append(frame)
        return answer or "6"  # a frame that means nothing

    wire.alters = turn_away
    wire.cut()
    mara.until(lambda: len(turned_away) == 2, "two refusals")
    jonas.write("are you there?")
    mara.open_chat(jonas)
    expect(mara.message("are you there?")).to_have_count(1)


def test_a_message_that_was_lost_on_the_way_here_is_asked_for_when_the_next_one_comes(fresh: Pair) -> None:
    mara, jonas = fresh
    wire = Wire(mara)
    mara.open_chat(jonas)
    jonas.write("first")
    expect(mara.message("first")).to_have_count(1)
    wire.loses = lambda frame: '"receive_message"' in frame
    jonas.write("second")
    expect(jonas.message("second")).to_have_attribute("data-status", "sent")
    wire.loses = lambda _: False
    jonas.write("third")
    expect(mara.page.locator(".message .body")).to_have_text(["first", "second", "third"])

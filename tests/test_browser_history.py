"""Reading back: pages of history, and messages that do not open."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, expect

from tests.browser import Enter, Person, connect
from tests.people import Person as Client
from tests.people import Server

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
LONG = 130
PAGE = 50
# The same row may move by a rounding of its height, no more.
SAME_PLACE_PX = 3

SEAL = """async ([contactId, texts]) => {
  const { sealText } = await import("/static/js/crypto.js");
  const { myPrivateKey, theirPublicKey } = JSON.parse(localStorage.contactKeys)[contactId];
  return Promise.all(texts.map((text) => sealText({ myPrivateKey, theirPublicKey }, text)));
}"""


def store_past(site: Server, writer: Person, reader: Person, texts: list[str]) -> None:
    """Put messages into the database as if they had been sent, sealed by the page of `writer`."""
    pair = ":".join(sorted((writer.id, reader.id)))
    database = site.database()
    conversation = database.conversations.find_one({"_id": pair})
    first = conversation.get("last_seq", 0) + 1
    start = datetime.now(UTC) - timedelta(days=1)
    database.messages.insert_many(
        {
            "_id": f"{writer.id}:past-{first + index}",
            "conversation": pair,
            "seq": first + index,
            "sender": writer.id,
            "receiver": reader.id,
            "type": "text",
            "text": envelope,
            "created_at": start + timedelta(seconds=index),
        }
        for index, envelope in enumerate(writer.page.evaluate(SEAL, [reader.id, texts]))
    )


def words(number: int) -> str:
    """The message with this number; some take several lines."""
    return f"message {number:03}" + "\nand more" * (number % 4)


@pytest.fixture(scope="module")
def talkative(acquainted: Pair, site: Server) -> Pair:
    """Two with LONG messages behind them."""
    mara, jonas = acquainted
    store_past(site, jonas, mara, [words(number) for number in range(1, LONG + 1)])
    return acquainted


@pytest.fixture
def at_the_end(talkative: Pair, pair: Pair) -> Pair:
    """Mara has opened the long conversation anew."""
    mara, jonas = pair
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.message(f"message {LONG}")).to_be_in_viewport()
    return pair


def top_of(row: Locator) -> float:
    """Where a row is on the screen, in px."""
    box = row.bounding_box()
    assert box is not None
    return box["y"]


def test_the_newest_page_comes_first(at_the_end: Pair) -> None:
    mara, _ = at_the_end
    assert [text[:11] for text in mara.texts()] == [
        f"message {number:03}" for number in range(LONG - PAGE + 1, LONG + 1)
    ]


def test_scrolling_up_brings_earlier_pages_and_keeps_the_place(at_the_end: Pair) -> None:
    mara, _ = at_the_end
    for oldest in (LONG - PAGE + 1, LONG - 2 * PAGE + 1):
        anchor = mara.message(f"message {oldest:03}")
        mara.page.evaluate(HOLD_THE_ROW, oldest)
        expect(mara.page.locator(".message")).to_have_count(min(LONG, LONG - oldest + 1 + PAGE))
        mara.until(lambda: mara.page.locator(".message.sealed").count() == 0, "the page to be opened")
        before, after = mara.page.evaluate("globalThis.placeBefore"), top_of(anchor)
        assert abs(after - before) <= SAME_PLACE_PX, f"message {oldest} moved from {before} to {after}"
    expect(mara.page.get_by_text("This is the beginning of your conversation.")).to_have_count(1)
    assert [text[:11] for text in mara.texts()] == [f"message {number:03}" for number in range(1, LONG + 1)]


# Scrolls until the button is just in sight, and notes where the oldest row is before its page comes.
HOLD_THE_ROW = """async (oldest) => {
  const scroll = document.querySelector(".message-scroll");
  scroll.scrollTop = 0;
  const name = `message ${String(oldest).padStart(3, "0")}`;
  const row = [...document.querySelectorAll(".message")].find((one) => one.innerText.includes(name));
  globalThis.placeBefore = row.getBoundingClientRect().y;
}"""


def test_earlier_messages_are_loaded_by_keyboard(at_the_end: Pair) -> None:
    mara, _ = at_the_end
    button = mara.button("Load earlier messages")
    mara.page.evaluate("document.querySelector('.earlier button').focus({ preventScroll: true })")
    expect(button).to_be_focused()
    mara.page.keyboard.press("Enter")
    expect(mara.page.locator(".message")).to_have_count(2 * PAGE)


def test_a_message_that_comes_while_the_past_is_read_does_not_move_the_page(at_the_end: Pair) -> None:
    mara, jonas = at_the_end
    mara.page.locator(".message-scroll").evaluate("scroll => { scroll.scrollTop = scroll.scrollHeight / 2; }")
    expect(mara.button("Go to newest message")).to_be_visible()
    place = mara.page.locator(".message-scroll").evaluate("scroll => scroll.scrollTop")
    jonas.write("news from the present")
    expect(mara.message("news from the present")).to_have_count(1)
    assert mara.page.locator(".message-scroll").evaluate("scroll => scroll.scrollTop") == place
    mara.button("Go to newest message").click()
    expect(mara.message("news from the present")).to_be_in_viewport()


@pytest.fixture
def fresh(enter: Enter) -> Pair:
    """Two with keys and an empty conversation."""
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    return mara, jonas


def test_a_damaged_message_says_so_and_the_others_still_show(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    for text in ("before it", "to be damaged", "after it"):
        jonas.write(text)
        expect(jonas.message(text)).to_have_attribute("data-status", "read")
    damaged = {"seq": 2, "sender": jonas.id}
    site.database().messages.update_one(damaged, {"$set": {"text": '{"iv":[1,2,3],"content":"gone"}'}})
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.page.locator(".message .body")).to_have_text(
        ["before it", "This message is damaged and cannot be opened.", "after it"]
    )


def test_a_message_under_other_keys_says_so_and_the_others_still_show(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    jonas.write("before it")
    expect(mara.message("before it")).to_have_count(1)
    envelope = json.loads(site.database().messages.find_one({"sender": jonas.id})["text"])
    envelope["iv"][0] ^= 1
    elsewhere = Client(site, jonas.username)
    assert elsewhere.line.ask("send_message", {"receiverId": mara.id, "text": json.dumps(envelope), "type": "text"})[
        "ok"
    ]
    elsewhere.leave()
    jonas.write("after it")
    sentence = "This message was sent with other keys. If you have a backup of them, import it in the settings."
    expect(mara.page.locator(".message .body")).to_have_text(["before it", sentence, "after it"])
    assert mara.message("{").count() == 0


def test_a_message_that_is_sent_again_by_somebody_on_the_way_is_refused(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    jonas.write("pay 100 to Ines")
    expect(mara.message("pay 100 to Ines")).to_have_count(1)
    envelope = site.database().messages.find_one({"sender": jonas.id})["text"]
    elsewhere = Client(site, jonas.username)
    assert elsewhere.line.ask("send_message", {"receiverId": mara.id, "text": envelope, "type": "text"})["ok"]
    elsewhere.leave()
    refused = ["pay 100 to Ines", "Refused: this repeats an earlier message. Somebody on the way may be tampering."]
    for person in (mara, jonas):
        expect(person.page.locator(".message .body")).to_have_text(refused)
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.page.locator(".message .body")).to_have_text(refused)


def test_whose_word_it_was_cannot_be_changed_on_the_way(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    mara.write("I will pay you 5000")
    expect(jonas.message("I will pay you 5000")).to_have_count(1)
    messages = site.database().messages
    said = messages.find_one({"sender": mara.id})
    turned = said | {"sender": jonas.id, "receiver": mara.id}
    messages.update_one({"_id": said["_id"]}, {"$set": turned})
    claims = "Refused: this message does not come from whom it is said to. Somebody on the way may be tampering."
    repeats = "Refused: this repeats an earlier message. Somebody on the way may be tampering."
    for refusal in (claims, repeats):
        for one, other in ((mara, jonas), (jonas, mara)):
            one.reload()
            one.open_chat(other)
            expect(one.page.locator(".message .body")).to_have_text([refusal])
        # The id as well: it was kept with the IV.
        messages.delete_many({"receiver": mara.id})
        messages.insert_one(turned | {"_id": f"{jonas.id}:{uuid.uuid4()}"})


def test_what_travels_in_clear_beside_a_file_is_not_believed(fresh: Pair, site: Server) -> None:
    mara, jonas = fresh
    jonas.write("ok then")
    expect(mara.message("ok then")).to_have_count(1)
    messages = site.database().messages
    said = messages.find_one({"sender": jonas.id})
    upload = jonas.page.evaluate(UPLOAD)
    clear = {"type": "file", "file_url": upload.rpartition("/")[2], "file_name": "signed-contract.pdf"}
    messages.update_one({"_id": said["_id"]}, {"$set": clear})
    forged = said | clear | {"_id": f"{jonas.id}:{uuid.uuid4()}", "seq": 2, "text": ""}
    messages.insert_one(forged)
    mara.reload()
    mara.open_chat(jonas)
    damaged = "This message is damaged and cannot be opened."
    expect(mara.page.locator(".message .body")).to_have_text([damaged, damaged])
    expect(mara.page.get_by_text("signed-contract")).to_have_count(0)


UPLOAD = """async () => {
  const form = new FormData();
  form.append("file", new Blob(["anything"]), "sealed");
  const csrf = decodeURIComponent(/sotto_csrf=([^;]+)/.exec(document.cookie)[1]);
  const answer = await fetch("/api/upload", { method: "POST", body: form, headers: { "X-CSRF-TOKEN": csrf } });
  return (await answer.json()).fileUrl;
}"""


@pytest.mark.parametrize("kind", ["cut", "broken"])
def test_a_past_that_cannot_be_loaded_says_so_and_is_asked_for_again(fresh: Pair, kind: str) -> None:
    mara, jonas = fresh
    jonas.write("from yesterday")
    expect(mara.message("from yesterday")).to_have_count(1)
    fails = {"cut": lambda route: route.abort(), "broken": lambda route: route.fulfill(status=500, body="<p>no</p>")}
    mara.tolerate("ERR_FAILED", "htmx:sendError", "htmx:afterRequest")
    mara.tolerate_status(500)
    mara.reload()
    mara.page.route("**/fragments/history/**", fails[kind])
    mara.open_chat(jonas)
    failed = mara.page.get_by_role("alert").filter(has_text="Messages could not be loaded.")
    expect(failed).to_be_visible()
    expect(mara.page.locator(".no-messages")).to_be_hidden()
    mara.write("from today")
    expect(jonas.message("from today")).to_have_count(1)
    mara.page.unroute("**/fragments/history/**")
    failed.get_by_role("button", name="Try again").click()
    expect(mara.page.locator(".message .body")).to_have_text(["from yesterday", "from today"])
    expect(failed).to_be_hidden()

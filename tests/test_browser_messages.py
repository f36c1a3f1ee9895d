"""Writing and reading, between two people who have keys."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser import Person

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]


def test_what_one_writes_the_other_reads_in_both_directions(pair: Pair) -> None:
    for writer, reader in (pair, pair[::-1]):
        words = f"only between us, says {writer.username}"
        writer.write(words)
        expect(reader.message(words)).to_have_count(1)
        expect(reader.message(words)).not_to_have_class(re.compile(r"\bown\b"))
        expect(writer.message(words)).to_have_class(re.compile(r"\bown\b"))
        assert not [frame for frame in writer.record.frames + reader.record.frames if words in frame]


def test_characters_of_every_plane_arrive_as_they_were_typed(pair: Pair) -> None:
    mara, jonas = pair
    words = "👩‍🔬 żółć 日本語 עברית 𝄞 e\u0301"
    mara.write(words)
    expect(jonas.message(words).locator(".body")).to_have_text(words)


def test_markup_is_shown_as_it_was_typed(pair: Pair) -> None:
    mara, jonas = pair
    words = '<img src=x onerror="alert(1)"><b>bold</b>&amp;<script>alert(2)</script>'
    mara.write(words)
    body = jonas.message("onerror").locator(".body")
    expect(body).to_have_text(words)
    expect(body.locator("*")).to_have_count(0)


def test_addresses_become_links_that_tell_nothing_of_where_they_were_followed(pair: Pair) -> None:
    mara, jonas = pair
    mara.write("see https://example.org/a?b=c&d=(e), or javascript:alert(1) or ftp://example.net.")
    links = jonas.message("see https").locator("a")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("href", "https://example.org/a?b=c&d=(e")
    expect(links).to_have_attribute("rel", "noopener noreferrer")
    expect(links).to_have_attribute("target", "_blank")


def test_shift_enter_makes_a_line_and_enter_sends(pair: Pair) -> None:
    mara, jonas = pair
    mara.input.press_sequentially("first line")
    mara.input.press("Shift+Enter")
    mara.input.press_sequentially("second line")
    expect(mara.input).to_have_value("first line\nsecond line")
    mara.input.press("Enter")
    expect(mara.input).to_have_value("")
    expect(jonas.message("first line").locator(".body")).to_have_text("first line\nsecond line", use_inner_text=True)


def test_nothing_but_space_is_not_sent(pair: Pair) -> None:
    mara, _ = pair
    before = len(mara.texts())
    mara.write("  \n ")
    mara.write("something after it")
    expect(mara.message("something after it")).to_have_attribute("data-status", re.compile("sent|delivered|read"))
    assert len(mara.texts()) == before + 1


def test_twenty_quick_messages_arrive_in_their_order(pair: Pair) -> None:
    mara, jonas = pair
    words = [f"quick {number:02}" for number in range(20)]
    mara.page.evaluate(
        """words => {
          const input = document.querySelector("#message-input");
          for (const word of words) {
            input.value = word;
            input.form.requestSubmit();
          }
        }""",
        words,
    )
    for person in (jonas, mara):
        expect(person.message("quick ")).to_have_count(20)
        assert [text for text in person.texts() if text.startswith("quick ")] == words
    expect(mara.page.locator(".message.own:not([data-status=read])")).to_have_count(0)


def test_a_second_tab_keeps_step_with_what_the_first_sends_and_reads(pair: Pair) -> None:
    mara, jonas = pair
    tab = mara.second_tab()
    jonas.write("is anybody here")
    expect(mara.message("is anybody here")).to_have_count(1)
    expect(tab.row(jonas).locator(".unread")).to_be_hidden()
    tab.open_chat(jonas)
    mara.write("sent by the first tab")
    expect(tab.message("sent by the first tab")).to_have_count(1)
    expect(tab.message("sent by the first tab")).to_have_attribute("data-status", "read")
    tab.write("sent by the second tab")
    expect(mara.message("sent by the second tab")).to_have_class(re.compile(r"\bown\b"))
    expect(mara.message("sent by the second tab")).to_have_attribute("data-status", "read")


def test_typing_shows_and_goes_when_it_stops(pair: Pair) -> None:
    mara, jonas = pair
    mara.input.press_sequentially("let me th")
    expect(jonas.page.locator(".typing-indicator")).to_be_visible()
    expect(jonas.page.locator(".typing-indicator")).to_contain_text(f"{mara.username} is typing")
    expect(jonas.page.locator(".typing-indicator")).to_be_hidden(timeout=4000)
    assert [frame for frame in jonas.record.frames if '"isTyping":false' in frame]
    mara.input.fill("")


def test_typing_goes_when_the_message_is_there(pair: Pair) -> None:
    mara, jonas = pair
    mara.input.press_sequentially("done")
    expect(jonas.page.locator(".typing-indicator")).to_be_visible()
    mara.input.press("Enter")
    expect(jonas.message("done")).to_have_count(1)
    expect(jonas.page.locator(".typing-indicator")).to_be_hidden(timeout=1500)


def test_who_goes_and_who_comes_is_seen(pair: Pair) -> None:
    mara, jonas = pair
    expect(mara.page.locator(".chat-presence")).to_have_text("online")
    jonas.page.goto("about:blank")
    expect(mara.row(jonas)).to_have_accessible_name(f"Chat with {jonas.username} (offline)")
    expect(mara.page.locator(".chat-presence")).to_have_text("offline")
    jonas.page.goto(jonas.origin)
    expect(mara.row(jonas)).to_have_accessible_name(f"Chat with {jonas.username} (online)")
    expect(mara.page.locator(".chat-presence")).to_have_text("online")


def test_what_is_not_read_yet_is_counted_in_the_list_and_the_title(pair: Pair) -> None:
    mara, jonas = pair
    jonas.reload()
    expect(jonas.page).to_have_title("Sotto")
    for words in ("one to count", "two to count"):
        mara.write(words)
    expect(jonas.row(mara).locator(".unread")).to_have_text("2")
    expect(jonas.row(mara)).to_have_attribute("aria-description", "2 unread")
    expect(jonas.page).to_have_title("(2) Sotto")
    jonas.reload()
    expect(jonas.page).to_have_title("(2) Sotto")
    jonas.open_chat(mara)
    expect(jonas.row(mara).locator(".unread")).to_be_hidden()
    expect(jonas.page).to_have_title("Sotto")


def test_ticks_go_from_sent_to_delivered_to_read(pair: Pair) -> None:
    mara, jonas = pair
    jonas.page.goto("about:blank")
    expect(mara.page.locator(".chat-presence")).to_have_text("offline")
    mara.write("on its way to you")
    row = mara.message("on its way to you")
    expect(row).to_have_attribute("data-status", "sent")
    expect(row.locator(".tick:visible")).to_have_text("Sent")
    jonas.page.goto(jonas.origin)
    expect(row).to_have_attribute("data-status", "delivered")
    expect(row.locator(".tick:visible")).to_have_text("Delivered")
    jonas.open_chat(mara)
    expect(row).to_have_attribute("data-status", "read")
    expect(row.locator(".tick:visible")).to_have_text("Read")


def test_the_tick_of_a_message_is_the_same_after_a_reload(pair: Pair) -> None:
    mara, jonas = pair
    mara.write("read before the reload")
    expect(mara.message("read before the reload")).to_have_attribute("data-status", "read")
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.message("read before the reload")).to_have_attribute("data-status", "read")


def test_a_draft_survives_a_reload_and_leaves_with_the_message(pair: Pair) -> None:
    mara, jonas = pair
    mara.input.press_sequentially("half a tho")
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.input).to_have_value("half a tho")
    mara.input.press("Enter")
    expect(jonas.message("half a tho")).to_have_count(1)
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.input).to_have_value("")


def test_a_contact_who_wrote_last_stands_first_in_the_list(pair: Pair, enter: object) -> None:
    mara, jonas = pair
    someone = enter("aaa")  # type: ignore[operator]
    mara.add(someone)
    mara.open_chat(jonas)
    jonas.write("me first")
    expect(mara.page.locator(".contact-list .name").first).to_have_text(jonas.username)

"""What was read and what was not: counts that last and agree, and reading that stays private."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import Enter, Person, connect

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]


@pytest.fixture
def fresh(enter: Enter) -> Pair:
    """Two with keys and an empty conversation."""
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    return mara, jonas


def read_privately(person: Person) -> None:
    """Choose it in the settings."""
    person.button("Open settings").click()
    person.page.get_by_label("Keep my reading private").check()
    person.button("Close settings").click()


def test_what_is_unread_lasts_over_a_reload_and_is_the_same_in_every_tab(fresh: Pair) -> None:
    mara, jonas = fresh
    jonas.reload()
    for number in range(3):
        mara.write(f"message {number}")
    count = jonas.row(mara).locator(".unread")
    expect(count).to_have_text("3")
    jonas.reload()
    expect(count).to_have_text("3")
    tab = jonas.second_tab()
    expect(tab.row(mara).locator(".unread")).to_have_text("3")
    tab.open_chat(mara)
    for one in (tab, jonas):
        expect(one.row(mara).locator(".unread")).to_be_hidden()
    jonas.reload()
    expect(jonas.row(mara).locator(".unread")).to_be_hidden()


def test_what_did_not_open_is_not_read(fresh: Pair, enter: Enter) -> None:
    mara, jonas = fresh
    jonas.page.goto("about:blank")
    elsewhere = enter("jonas", username=jonas.username)
    mara.write("for the browser that has the keys")
    elsewhere.row(mara).click()
    expect(elsewhere.message("the keys are not in this browser")).to_have_count(1)
    row = mara.message("for the browser that has the keys")
    expect(row).to_have_attribute("data-status", "delivered")
    elsewhere.page.wait_for_timeout(1000)  # longer than receipts are gathered
    expect(row).to_have_attribute("data-status", "delivered")
    jonas.page.goto(jonas.origin)
    expect(jonas.row(mara).locator(".unread")).to_have_text("1")


def test_who_reads_privately_is_not_seen_to_read(fresh: Pair) -> None:
    mara, jonas = fresh
    read_privately(jonas)
    mara.write("have you seen this?")
    expect(jonas.message("have you seen this?")).to_have_count(1)
    row = mara.message("have you seen this?")
    expect(row).to_have_attribute("data-status", "delivered")
    jonas.write("an answer that says it all")
    expect(mara.message("an answer that says it all")).to_have_count(1)
    jonas.reload()
    jonas.open_chat(mara)
    expect(jonas.row(mara).locator(".unread")).to_be_hidden()
    assert not [frame for frame in jonas.record.frames if '"message_read"' in frame]
    expect(row.locator(".tick:visible")).to_have_text("Delivered")


def test_who_reads_privately_does_not_see_others_read(fresh: Pair) -> None:
    mara, _ = fresh
    mara.write("have you seen this?")
    row = mara.message("have you seen this?")
    expect(row.locator(".tick:visible")).to_have_text("Read")
    read_privately(mara)
    expect(row.locator(".tick:visible")).to_have_text("Delivered")
    mara.reload()
    mara.page.locator(".contact-list button").click()
    expect(row.locator(".tick:visible")).to_have_text("Delivered")

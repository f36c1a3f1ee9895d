"""Signing in and out, as people do it."""

from __future__ import annotations

import json
import re
import secrets

from playwright.sync_api import Page, expect

from tests.browser import Enter, Person, connect
from tests.people import PASSPHRASE

pytest_plugins = ["tests.doorway"]


def type_in(page: Page, username: str, passphrase: str) -> None:
    """Fill in the form as it is labelled."""
    page.get_by_placeholder("Username").fill(username)
    page.get_by_placeholder("Secret Passphrase").fill(passphrase)


def stranger(enter: Enter, name: str, **options: object) -> Person:
    """Somebody in front of the login page."""
    person = enter(name, signed_in=False, **options)
    person.page.goto(person.origin)
    expect(person.page.get_by_role("heading", name="Chat Login")).to_be_visible()
    return person


def test_the_first_login_makes_the_account_and_says_so(enter: Enter) -> None:
    mara = stranger(enter, "mara")
    type_in(mara.page, mara.username, PASSPHRASE)
    mara.button("Enter Chat").click()
    expect(mara.banner).to_contain_text(f"Welcome, {mara.username}. Your account was created.")
    expect(mara.page.locator(".my-id-display strong")).to_have_text(re.compile(r"^\d{12}$"))
    expect(mara.page).to_have_url(f"{mara.origin}/")


def test_a_later_login_is_no_welcome(enter: Enter) -> None:
    mara = enter("mara")
    again = stranger(enter, "mara", username=mara.username)
    type_in(again.page, mara.username, PASSPHRASE)
    again.button("Enter Chat").click()
    expect(again.page.locator(".my-id-display strong")).to_have_text(mara.id)
    again.settle()
    expect(again.banner).to_be_hidden()


def test_enter_submits_the_form(enter: Enter) -> None:
    mara = stranger(enter, "mara")
    type_in(mara.page, mara.username, PASSPHRASE)
    mara.page.get_by_placeholder("Secret Passphrase").press("Enter")
    expect(mara.page.locator(".my-id-display strong")).to_be_visible()


def test_what_is_wrong_stands_beside_its_field(enter: Enter) -> None:
    mara = stranger(enter, "mara")
    mara.tolerate_status(400)
    type_in(mara.page, "ab", "short")
    mara.button("Enter Chat").click()
    for label, sentence in (
        ("Username", "Username must be between 3 and 30 characters"),
        ("Secret Passphrase", "Passphrase must be at least 8 characters"),
    ):
        box = mara.page.get_by_placeholder(label)
        expect(box).to_have_attribute("aria-invalid", "true")
        beside = mara.page.locator(f"#{box.get_attribute('aria-describedby')}")
        expect(beside).to_have_attribute("role", "alert")
        expect(beside).to_contain_text(sentence)
    expect(mara.page.get_by_placeholder("Username")).to_have_value("ab")


def test_a_wrong_passphrase_is_refused_in_the_page(enter: Enter) -> None:
    known = enter("mara")
    mara = stranger(enter, "mara")
    mara.tolerate_status(401)
    type_in(mara.page, known.username, "not the passphrase")
    mara.button("Enter Chat").click()
    expect(mara.page.get_by_role("alert")).to_contain_text(re.compile("passphrase", re.IGNORECASE))
    expect(mara.page.get_by_placeholder("Secret Passphrase")).to_have_attribute("aria-invalid", "true")
    expect(mara.page.get_by_placeholder("Secret Passphrase")).to_have_value("")


def test_login_works_with_script_switched_off(enter: Enter) -> None:
    mara = stranger(enter, "mara", java_script_enabled=False)
    mara.tolerate(r"\.js csp$")  # Chromium's word for a module it does not preload, as nothing could run it
    type_in(mara.page, mara.username, PASSPHRASE)
    mara.button("Enter Chat").click()
    expect(mara.page.locator(".my-id-display strong")).to_have_text(re.compile(r"^\d{12}$"))


def test_a_refusal_shows_with_script_switched_off(enter: Enter) -> None:
    mara = stranger(enter, "mara", java_script_enabled=False)
    mara.tolerate_status(400)
    type_in(mara.page, "ab", PASSPHRASE)
    mara.button("Enter Chat").click()
    expect(mara.page.get_by_role("alert")).to_have_text("Username must be between 3 and 30 characters")


def test_logout_ends_every_tab_of_that_login(enter: Enter) -> None:
    mara = enter("mara")
    other_tab = mara.second_tab()
    mara.button("Logout from application").click()
    for page in (mara.page, other_tab.page):
        expect(page.get_by_role("heading", name="Chat Login")).to_be_visible()


def test_logout_leaves_another_login_of_the_same_person_alone(enter: Enter) -> None:
    here = enter("mara")
    elsewhere = enter("mara", username=here.username)
    here.button("Logout from application").click()
    expect(here.page.get_by_role("heading", name="Chat Login")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere.page.locator(".my-id-display strong")).to_have_text(here.id)


def test_a_second_account_in_the_same_browser_parks_and_restores_the_keys_of_the_first(enter: Enter) -> None:
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    before = mara.kept("contactKeys")
    first_name = mara.username
    mara.button("Logout from application").click()
    type_in(mara.page, f"guest-{secrets.token_hex(3)}", PASSPHRASE)
    mara.button("Enter Chat").click()
    mara.page.locator(".my-id-display strong").wait_for()
    mara.until(lambda: (mara.kept("chatUser") or {}).get("customId") != mara.id, "the guest to own the keys")
    assert not mara.kept("contactKeys")
    expect(mara.row(jonas)).to_have_count(0)
    mara.button("Logout from application").click()
    type_in(mara.page, first_name, PASSPHRASE)
    mara.button("Enter Chat").click()
    expect(mara.row(jonas)).to_be_visible()
    assert mara.kept("contactKeys") == before


def test_another_account_in_another_tab_takes_this_one_to_its_page(enter: Enter) -> None:
    mara = enter("mara")
    guest = mara.context.new_page()
    mara.context.clear_cookies()
    guest.goto(mara.origin)
    type_in(guest, f"guest-{secrets.token_hex(3)}", PASSPHRASE)
    guest.get_by_role("button", name="Enter Chat").click()
    guest_id = guest.locator(".my-id-display strong").inner_text()
    expect(mara.page.locator(".my-id-display strong")).to_have_text(guest_id)


def test_a_revoked_cookie_leads_to_the_login_page(enter: Enter) -> None:
    mara = enter("mara")
    stolen = mara.context.cookies()
    mara.button("Logout from application").click()
    expect(mara.page.get_by_role("heading", name="Chat Login")).to_be_visible()
    mara.context.add_cookies(stolen)  # type: ignore[arg-type]
    mara.page.goto(mara.origin)
    expect(mara.page.get_by_role("heading", name="Chat Login")).to_be_visible()
    assert not [one for one in mara.context.cookies() if one["name"] == "sotto_token"]


def test_a_cookie_that_ends_while_the_page_is_open_leads_to_the_login_page_at_the_next_request(enter: Enter) -> None:
    mara = enter("mara")
    mara.tolerate_status(401)
    mara.context.clear_cookies()
    mara.page.get_by_label("Enter contact ID").fill("123456789012")
    mara.button("Search contact").click()
    expect(mara.page.get_by_role("heading", name="Chat Login")).to_be_visible()


def test_the_token_is_out_of_reach_of_script(enter: Enter) -> None:
    mara = enter("mara")
    token = next(one["value"] for one in mara.context.cookies() if one["name"] == "sotto_token")
    seen = mara.page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert token not in seen
    assert json.loads(seen)[1]["chatUser"] == json.dumps(
        {"customId": mara.id, "username": mara.username}, separators=(",", ":")
    )

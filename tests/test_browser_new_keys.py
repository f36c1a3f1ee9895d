"""New keys with a contact who has some: asked for, declined, kept, and forged."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.browser import Enter, Person, connect, talk
from tests.people import Person as Client
from tests.people import Server

pytest_plugins = ["tests.doorway"]


@pytest.fixture
def mara(enter: Enter) -> Person:
    """The one who asks."""
    return enter("mara")


@pytest.fixture
def jonas(enter: Enter, mara: Person) -> Person:
    """The one who is asked, with keys already."""
    jonas = enter("jonas")
    connect(mara, jonas)
    return jonas


def test_new_keys_are_exchanged_with_a_warning_and_the_old_messages_still_open(mara: Person, jonas: Person) -> None:
    talk(mara, jonas)
    old = mara.keys_with(jonas)
    words = mara.texts()
    mara.button("Exchange new keys").click()
    expect(mara.page.get_by_role("dialog", name="Exchange keys again?")).to_contain_text("Old messages stay readable")
    mara.button("Ask for new keys").click()
    expect(jonas.modal).to_contain_text("You already have keys with this contact. Accepting replaces them.")
    jonas.accept()
    mara.until(lambda: mara.keys_with(jonas)["myPrivateKey"] != old["myPrivateKey"], "new keys")
    assert mara.keys_with(jonas)["theirPublicKey"] != old["theirPublicKey"]
    jonas.until(
        lambda: jonas.keys_with(mara)["myPublicKey"] == mara.keys_with(jonas)["theirPublicKey"], "the same keys"
    )
    for one, other in ((mara, jonas), (jonas, mara)):
        one.reload()
        one.open_chat(other)
        expect(one.page.locator(".message .body")).to_have_text(words)
    talk(mara, jonas)


def test_keeping_the_keys_asks_nobody(mara: Person, jonas: Person) -> None:
    before = mara.kept("contactKeys")
    mara.button("Exchange new keys").click()
    mara.button("Keep the keys").click()
    expect(mara.page.get_by_role("dialog", name="Exchange keys again?")).to_be_hidden()
    assert mara.kept("contactKeys") == before


def test_what_waits_while_new_keys_are_asked_for_still_goes_under_the_old_ones(mara: Person, jonas: Person) -> None:
    mara.button("Exchange new keys").click()
    mara.button("Ask for new keys").click()
    expect(jonas.modal).to_be_visible()
    mara.write("written while asking")
    jonas.button("Reject key exchange request").click()
    expect(jonas.message("written while asking")).to_have_count(1)
    expect(mara.banner).to_contain_text("declined key exchange")
    talk(mara, jonas)


def test_a_response_nobody_asked_for_changes_nothing(mara: Person, jonas: Person, site: Server) -> None:
    before = mara.kept("contactKeys")
    hostile = Client(site, jonas.username)
    response = {"targetUserId": mara.id, "publicKey": jonas.keys_with(mara)["myPublicKey"], "accepted": True}
    assert hostile.line.refused("respond_key_exchange", response) == "not_asked"
    hostile.leave()
    jonas.write("a word after it")
    expect(mara.message("a word after it")).to_have_count(1)
    assert mara.kept("contactKeys") == before


def test_a_response_a_hostile_server_invents_changes_nothing(mara: Person, jonas: Person) -> None:
    before = mara.kept("contactKeys")
    other_key = jonas.keys_with(mara)["myPublicKey"].replace('"sotto"', '"other"')

    def inject(page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        server.on_message(lambda frame: feed(page, frame))

    def feed(page: WebSocketRoute, frame: str | bytes) -> None:
        page.send(frame)
        if '"standing"' not in str(frame):
            return
        for forger in (jonas.id, "123456789012"):
            response = {"fromUserId": forger, "publicKey": other_key, "accepted": True}
            page.send(f"42{json.dumps(['key_exchange_response', response])}")

    mara.page.route_web_socket(re.compile("socket.io"), inject)
    mara.reload()
    talk(jonas, mara)
    assert mara.kept("contactKeys") == before

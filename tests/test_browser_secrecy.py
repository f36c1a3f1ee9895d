"""What leaves the browser, and what the server keeps: never a word, never a private key, never a passphrase."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote_plus

from playwright.sync_api import Route, expect

from tests.browser import Enter, Person, connect
from tests.people import PASSPHRASE, Server

pytest_plugins = ["tests.doorway"]

WORDS = "the dossier is under the third bench"
REPLY = "understood, not a soul"


class Bodies:
    """Every HTTP body of somebody's pages, both ways, but for the files that are the same for all."""

    def __init__(self, person: Person) -> None:
        self.seen: list[str] = []
        person.context.route(re.compile(r"^(?!.*/(static|socket\.io)/)"), self._on_request)

    def _on_request(self, route: Route) -> None:
        request = route.request
        response = route.fetch(max_redirects=0)
        self.seen += [f"{request.url} {unquote_plus(request.post_data or '')}", response.text()]
        if request.resource_type == "document":
            route.continue_()  # Chromium trusts no line of a page that was handed to it; this one is fetched twice
        else:
            route.fulfill(response=response)


def private_numbers(person: Person) -> list[str]:
    """Every private number in somebody's localStorage."""
    found = []
    for keys in person.kept("contactKeys").values():
        pairs = [keys, *keys.get("retired", [])]
        found += [json.loads(pair["myPrivateKey"])["d"] for pair in pairs]
    return found


def everything_kept(site: Server) -> str:
    """Every document of every collection, as text."""
    database = site.database()
    return "\n".join(str(document) for name in database.list_collection_names() for document in database[name].find({}))


def test_neither_words_nor_private_keys_nor_passphrases_leave_the_browser(enter: Enter, site: Server) -> None:
    mara, jonas = enter("mara", signed_in=False), enter("jonas")
    bodies = [Bodies(mara), Bodies(jonas)]
    mara.page.goto(mara.origin)
    mara.page.get_by_placeholder("Username").fill(mara.username)
    mara.page.get_by_placeholder("Secret Passphrase").fill(PASSPHRASE)
    mara.button("Enter Chat").click()
    mara.id = mara.page.locator(".my-id-display strong").inner_text()
    mara.settle()
    connect(mara, jonas)
    mara.write(WORDS)
    expect(jonas.message(WORDS)).to_have_count(1)
    jonas.write(REPLY)
    expect(mara.message(REPLY)).to_have_count(1)
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.page.locator(".message .body")).to_have_text([WORDS, REPLY])

    secrets = [WORDS, REPLY, *private_numbers(mara), *private_numbers(jonas)]
    assert len(secrets) == 4
    travelled = [*mara.record.frames, *jonas.record.frames, *(text for one in bodies for text in one.seen)]
    # The check sees what it should: the ciphertext went by both ways.
    assert any('"send_message"' in text for text in travelled)
    assert any("data-text=" in text for text in travelled)
    for secret in secrets:
        assert not [text for text in travelled if secret in text]
    # The passphrase goes to the login form, and nowhere else.
    assert [text.split()[0] for text in travelled if PASSPHRASE in text] == [f"{mara.origin}/login"]
    kept = everything_kept(site)
    assert mara.username in kept
    for secret in [*secrets, PASSPHRASE]:
        assert secret not in kept


def test_public_keys_pass_through_and_are_not_kept(enter: Enter, site: Server) -> None:
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    kept = everything_kept(site)
    assert f"{min(mara.id, jonas.id)}:{max(mara.id, jonas.id)}" in kept
    for person, other in ((mara, jonas), (jonas, mara)):
        assert json.loads(person.keys_with(other)["myPublicKey"])["x"] not in kept


def test_what_is_typed_and_not_sent_stays_in_the_tab(enter: Enter, site: Server) -> None:
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    mara.input.press_sequentially("second thoughts")
    mara.until(lambda: any('"isTyping":true' in frame for frame in mara.record.frames), "the sign of typing")
    assert not [frame for frame in mara.record.frames if "second" in frame]
    assert "second thoughts" not in mara.page.evaluate("JSON.stringify({...localStorage})")
    assert "second thoughts" not in everything_kept(site)

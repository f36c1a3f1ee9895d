"""A person with a browser: what they see and do on the page, and a record of everything that went wrong there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, WebSocket, expect

from tests.people import PASSPHRASE

PATIENCE_S = 15
# The page's own event: a console message alone would not say which directive was broken.
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));"""

expect.set_options(timeout=PATIENCE_S * 1000)


@dataclass
class Record:
    """What the pages of one context did: faults nobody expected, socket frames, addresses asked for, files saved."""

    faults: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Begin a new record."""
        for part in (self.faults, self.frames, self.requests, self.saved, self.tolerated):
            part.clear()

    def unexpected(self) -> list[str]:
        """The faults that match no tolerated pattern."""
        return [fault for fault in self.faults if not any(re.search(one, fault) for one in self.tolerated)]

    def watch(self, page: Page) -> None:
        """Listen to a page for as long as it lives."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda fault: self.faults.append(f"page error: {fault}"))
        page.on("request", lambda request: self.requests.append(f"{request.method} {request.url}"))
        # A page that is left aborts what it was still loading: no fault of anybody's.
        page.on(
            "requestfailed",
            lambda request: (
                request.failure == "net::ERR_ABORTED"
                or self.faults.append(f"request failed: {request.url} {request.failure}")
            ),
        )
        page.on("websocket", self._on_socket)
        page.on("download", lambda download: self.saved.append(download.suggested_filename))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _on_socket(self, socket: WebSocket) -> None:
        for event in ("framesent", "framereceived"):
            socket.on(
                event, lambda frame: self.frames.append(frame if isinstance(frame, str) else frame.decode("latin-1"))
            )


class Person:
    """Somebody with a browser of their own: what they see and do on the page that is in front of them."""

    def __init__(self, context: BrowserContext, origin: str, username: str) -> None:
        self.context, self.origin, self.username = context, origin, username
        self.record = Record()
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("page", self.record.watch)
        self.page = context.new_page()
        self.id = ""

    def tolerate(self, *patterns: str) -> None:
        """Expect faults that match these regular expressions."""
        self.record.tolerated += patterns

    def tolerate_status(self, status: int) -> None:
        """Expect an HTTP error that the test provokes: Chromium and htmx each write a line about it."""
        self.tolerate(rf"responded with a status of {status} ", rf"Response Status Error Code {status} ")

    def sign_in(self) -> Person:
        """Enter by the form's door without typing, and wait until the line is up."""
        form = {"username": self.username, "passphrase": PASSPHRASE}
        self.context.request.post(f"{self.origin}/login", form=form, headers={"HX-Request": "true"})
        self.page.goto(self.origin)
        self.id = self.page.locator(".my-id-display strong").inner_text()
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until this page's socket has been told what it missed."""
        seen = self.record.frames
        start = len(seen) if self.page.url == "about:blank" else 0
        self.until(lambda: any('"standing"' in frame for frame in seen[start:]), "the first sync")

    def reload(self) -> None:
        """Load the page anew, and wait until its line is up."""
        self.record.frames.clear()
        self.page.reload()
        self.settle()

    def second_tab(self) -> Person:
        """The same person in another tab of the same browser."""
        twin = object.__new__(Person)
        twin.__dict__.update(self.__dict__)
        twin.page = self.context.new_page()
        self.record.frames.clear()
        twin.page.goto(self.origin)
        twin.settle()
        return twin

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The first truthy value of `condition`, while the page's events go on; fails after PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{self.username} waited in vain for: {what}"
            self.page.wait_for_timeout(30)
        return value

    # What is on the page.

    def button(self, name: str) -> Locator:
        """A button by its exact accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def row(self, other: Person) -> Locator:
        """The row of a contact, whatever its state."""
        return self.page.get_by_role("button", name=re.compile(rf"^Chat with {re.escape(other.username)} \("))

    def message(self, text: str) -> Locator:
        """The message rows that show a text."""
        return self.page.locator(".message", has_text=text)

    def texts(self) -> list[str]:
        """What the open conversation shows, top to bottom."""
        return self.page.locator(".message .body").all_inner_texts()

    @property
    def banner(self) -> Locator:
        """The floating status banner."""
        return self.page.locator(".status-banner")

    @property
    def modal(self) -> Locator:
        """The key exchange modal."""
        return self.page.get_by_role("dialog", name="Key Exchange Request")

    @property
    def input(self) -> Locator:
        """Where messages are written."""
        return self.page.get_by_placeholder("Type a message...")

    # What is in localStorage.

    def kept(self, name: str) -> Any:
        """A name of localStorage, parsed; None when it is not there."""
        raw = self.page.evaluate("name => localStorage.getItem(name)", name)
        return None if raw is None else json.loads(raw)

    def keys_with(self, other: Person) -> dict[str, Any]:
        """The keys kept for a contact."""
        return (self.kept("contactKeys") or {}).get(other.id, {})

    def state_with(self, other: Person) -> str:
        """The state of a contact: added, pending, connected, rejected; "" when not a contact."""
        return next((one["state"] for one in self.kept("myContacts") or [] if one["customId"] == other.id), "")

    def wait_for_state(self, other: Person, state: str) -> None:
        """Wait until a contact is in a state."""
        self.until(lambda: self.state_with(other) == state, f"{other.username} to be {state}")

    # What they do.

    def add(self, other: Person) -> None:
        """Search an id and add who is found; the conversation opens."""
        self.page.get_by_label("Enter contact ID").fill(other.id)
        self.button("Search contact").click()
        self.button("Add").click()
        expect(self.page.locator(".chat-name")).to_have_text(other.username)

    def ask(self) -> None:
        """Ask the open contact for keys."""
        self.button("Exchange Keys").click()

    def accept(self) -> None:
        """Accept the request that is shown."""
        self.button("Accept key exchange request").click()

    def open_chat(self, other: Person) -> None:
        """Open a conversation and wait for its history."""
        self.row(other).click()
        expect(self.page.locator(".chat-name")).to_have_text(other.username)
        self.page.locator(".message-list:not([aria-busy])").wait_for(state="attached")
        expect(self.page.locator(".message.sealed")).to_have_count(0)

    def write(self, text: str) -> None:
        """Write into the open conversation and send with Enter."""
        self.input.fill(text)
        self.input.press("Enter")


def connect(asker: Person, target: Person) -> None:
    """Two strangers become contacts with keys, by the page, and both have the conversation open."""
    asker.add(target)
    asker.ask()
    target.accept()
    asker.wait_for_state(target, "connected")
    target.wait_for_state(asker, "connected")
    target.open_chat(asker)


def talk(one: Person, other: Person) -> None:
    """Both open the conversation, write, and read what the other wrote: the proof that their keys fit."""
    for person in (one, other):
        peer = other if person is one else one
        person.open_chat(peer)
    for person, peer in ((one, other), (other, one)):
        words = f"this is {person.username} {len(person.texts())}"
        person.write(words)
        expect(peer.message(words)).to_have_count(1)


class Enter(Protocol):
    """Somebody new on a browser context of their own."""

    def __call__(self, name: str, *, username: str = "", signed_in: bool = True, **options: Any) -> Person:
        """`username` signs in as somebody known; `options` go to the browser context."""

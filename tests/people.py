"""A running Sotto, and the people in it, as programs see them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import requests

from tests.line import Line
from tests.seals import KeyPair
from tests.site import HOUSE, Site
from tests.waiting import PATIENCE_S

__all__ = ["HOUSE", "PASSPHRASE", "Person", "Server", "forge"]

PASSPHRASE = "correct horse battery"


class Server(Site):
    """A Sotto to talk to over HTTP."""

    def __init__(self, instance: Path, **settings: str) -> None:
        super().__init__(instance, **settings)
        self.log = self._log
        self.environ = self._environ

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request that follows no redirect."""
        options = {"timeout": PATIENCE_S, "allow_redirects": False} | options
        return requests.request(method, f"{self.origin}{path}", **options)

    def login(
        self, username: str, passphrase: str = PASSPHRASE, *, address: str = "", **more: str
    ) -> requests.Response:
        """`POST /api/auth/login`, by a proxy that saw it come from `address`."""
        headers = {"X-Forwarded-For": address} if address else {}
        body = {"username": username, "passphrase": passphrase, **more}
        return self.ask("POST", "/api/auth/login", json=body, headers=headers)


class Person:
    """Somebody with an account on `server`, and the lines they opened."""

    def __init__(self, server: Server, username: str = "", **login: str) -> None:
        self.server = server
        self.username = username or f"p-{secrets.token_hex(6)}"
        answer = server.login(self.username, **login)
        assert answer.status_code == 200, answer.text
        self.id: str = answer.json()["customId"]
        self.token: str = answer.json()["token"]
        self._lines: list[Line] = []
        self._known: set[str] = set()

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends with each request."""
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request in this person's name."""
        headers = self.headers | options.pop("headers", {})
        return self.server.ask(method, path, headers=headers, **options)

    def messages(self, other: Person, **query: int) -> list[dict[str, Any]]:
        """The history with another."""
        answer = self.ask("GET", "/api/chat/messages", params={"user1": self.id, "user2": other.id, **query})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def connect(self) -> Line:
        """A new socket."""
        # As a browser does, so that nginx finds this person's unit; the token that counts is the one in `auth`.
        line = Line(self.server.origin, {"token": self.token}, cookie=f"sotto_token={self.token}")
        self._lines.append(line)
        return line

    @property
    def line(self) -> Line:
        """The first socket, opened at first use."""
        return self._lines[0] if self._lines else self.connect()

    def leave(self) -> None:
        """End all sockets."""
        for line in self._lines:
            line.close()
        self._lines.clear()

    def befriend(self, other: Person) -> tuple[KeyPair, KeyPair]:
        """Exchange keys with another; this one's pair and the other's."""
        mine, theirs = KeyPair.fresh(), KeyPair.fresh()
        other.connect() if not other._lines else None
        asked = self.line.ask("request_key_exchange", {"targetUserId": other.id, "publicKey": mine.public})
        assert asked["ok"], asked
        consent = {"targetUserId": self.id, "publicKey": theirs.public, "accepted": True}
        assert other.line.ask("respond_key_exchange", consent)["ok"]
        self.line.wait_for("key_exchange_response", lambda news: news["fromUserId"] == other.id)
        return mine, theirs

    def know(self, other: Person) -> None:
        """Be somebody who exchanged keys with another, without the exchange."""
        members = sorted((self.id, other.id))
        beginning = {"members": members, "last_seq": 0, "delivered": {}, "read": {}}
        self.server.database().conversations.update_one(
            {"_id": ":".join(members)}, {"$set": {"connected": True}, "$setOnInsert": beginning}, upsert=True
        )
        self._known.add(other.id)

    def send(self, other: Person, text: str, **more: Any) -> dict[str, Any]:
        """Send an envelope to somebody one has keys with; the acknowledgement."""
        if other.id not in self._known:
            self.know(other)
        return self.line.ask("send_message", {"receiverId": other.id, "text": text, "type": "text", **more})


def forge(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A token nobody signed."""
    import base64

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.{signature}"

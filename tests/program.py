"""A Socket.IO client without a page, logged in as anybody whose passphrase is known: what a hostile or older client may do."""

from __future__ import annotations

import json
import urllib.request
from types import TracebackType
from typing import Any

import socketio

from tests.browser import PASSPHRASE


class Program:
    """A context manager: connected inside, gone after it."""

    def __init__(self, origin: str, username: str) -> None:
        body = json.dumps({"username": username, "passphrase": PASSPHRASE}).encode()
        login = urllib.request.Request(f"{origin}/api/auth/login", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(login, timeout=10) as answer:
            self._token = json.load(answer)["token"]
        self._origin = origin
        self._client = socketio.Client(reconnection=False)

    def __enter__(self) -> Program:
        self._client.connect(self._origin, auth={"token": self._token}, transports=["websocket"])
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._client.disconnect()

    def call(self, event: str, payload: Any) -> dict[str, Any]:
        """Send an event; its acknowledgement."""
        answer: dict[str, Any] = self._client.call(event, payload, timeout=10)
        return answer

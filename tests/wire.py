"""What lies between a page and the server's socket, in the hands of a test."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Route, WebSocketRoute

from tests.browser import Person


class Wire:
    """Loses the frames that `loses` is true for, puts what the server says through `alters`, holds it back, may be cut.

    The page is loaded anew to come onto it.
    """

    def __init__(self, person: Person) -> None:
        self.loses: Callable[[str], bool] = lambda _: False
        self.alters: Callable[[str], str] = lambda frame: frame
        self._pages: list[WebSocketRoute] = []
        self._servers: list[WebSocketRoute] = []
        self._held: list[str | bytes] | None = None
        person.tolerate("WebSocket connection")
        person.context.route_web_socket(re.compile("/socket.io/"), self._on_socket)
        person.reload()

    def _on_socket(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        page.on_message(lambda frame: self.loses(str(frame)) or server.send(frame))
        server.on_message(lambda frame: self._on_news(page, frame))
        self._pages.append(page)
        self._servers.append(server)

    def _on_news(self, page: WebSocketRoute, frame: str | bytes) -> None:
        if self._held is not None:
            self._held.append(frame)
        elif not self.loses(str(frame)):
            page.send(self.alters(str(frame)))

    def hold(self) -> None:
        """Keep what the server says from the page, until `release`."""
        self._held = []

    def release(self) -> None:
        """Let the page hear what was held, and everything from now on."""
        held, self._held = self._held or [], None
        for frame in held:
            self._pages[-1].send(frame)

    def cut(self, number: int = -1) -> None:
        """End a line, the newest by default; its page comes back by itself, to a wire that loses nothing.

        The server does not know of it yet.
        """
        self.loses = lambda _: False
        self._pages[number].close(code=1011)

    def end(self) -> None:
        """End the newest line at both ends."""
        self._servers[-1].close(code=3000)  # a page may say no other
        self.cut()


def shorten(person: Person, module: str, name: str) -> None:
    """Serve somebody a module as it is, but for one time in ms, which becomes three seconds."""

    def serve(route: Route) -> None:
        served = route.fetch(headers=route.request.headers | {"accept-encoding": "identity"})
        text, found = re.subn(rf"{name} = [\d_]+", f"{name} = 3_000", served.text())
        assert found == 1, name
        route.fulfill(response=served, body=text)

    person.page.route(re.compile(rf"/js/{module}\.\w+\.js"), serve)

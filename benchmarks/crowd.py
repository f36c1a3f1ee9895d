"""Many Socket.IO lines in one process, on one epoll: written so that the generator costs less than what it measures."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable
from typing import Any

from benchmarks.frames import masked, split

HOST = "127.0.0.1"
OPEN_TIMEOUT_S = 60
PONG = masked("3")
HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Cookie: sotto_token={token}\r\n\r\n"  # by which nginx finds the unit of a person, as with a browser
)


class Line:
    """One connected socket; `sid` is its Socket.IO id, `number` its place in the crowd."""

    def __init__(self, port: int, number: int, auth: Any = None) -> None:
        self.number = number
        self.socket = socket.create_connection((HOST, port), timeout=OPEN_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.socket.sendall(HANDSHAKE.format(host=HOST, port=port, token=(auth or {}).get("token", "")).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := self.socket.recv(4096)):
                raise ConnectionError(f"no WebSocket: {head[:200]!r}")
            head += data
        status, _, self.rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in status.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"no WebSocket: {status[:200]!r}")
        self.socket.sendall(masked("40" if auth is None else f"40{json.dumps(auth)}"))
        self.sid = self._await_connect()
        self.socket.setblocking(False)

    def _await_connect(self) -> str:
        while True:
            payloads, self.rest = split(self.rest)
            for payload in payloads:
                if payload.startswith(b"44"):
                    raise ConnectionError(payload.decode())
                if payload.startswith(b"40"):
                    return str(json.loads(payload[2:])["sid"])
            if not (data := self.socket.recv(65536)):
                raise ConnectionError("closed while connecting")
            self.rest += data

    def send(self, data: bytes) -> None:
        """Send ready frames; what these measurements have in flight fits into the socket's buffer."""
        if self.socket.send(data) != len(data):
            raise BlockingIOError("the server does not read")


class Crowd:
    """Lines, and the loop that reads them: `heard(line, payload)` gets every event and answer."""

    def __init__(self, port: int, auths: list[Any]) -> None:
        self.lines: list[Line] = []
        self._by_fd: dict[int, Line] = {}
        self._epoll = select.epoll()
        for number, auth in enumerate(auths):
            line = Line(port, number, auth)
            self.lines.append(line)
            self._by_fd[line.socket.fileno()] = line
            self._epoll.register(line.socket, select.EPOLLIN)
            self.listen(0, lambda _line, _payload: None)  # the first are pinged before the last are open

    def listen(self, wait_s: float, heard: Callable[[Line, bytes], None]) -> None:
        """Read what comes within `wait_s`, at the latest until something came; pings are answered here."""
        for fd, _ in self._epoll.poll(max(0.0, wait_s)):
            line = self._by_fd[fd]
            data = line.socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed a line")
            payloads, line.rest = split(line.rest + data if line.rest else data)
            for payload in payloads:
                if payload == b"2":
                    line.send(PONG)
                else:
                    heard(line, payload)

    def close(self) -> None:
        """End all lines."""
        self._epoll.close()
        for line in self.lines:
            line.socket.close()

"""The network between clients and a server, as a TCP proxy that may be cut."""

from __future__ import annotations

import contextlib
import socket
import threading

HOST = "127.0.0.1"
BLOCK_BYTES = 65536


class Cable:
    """Listens on `port` and passes bytes on to `target`, a port of this machine; cut, it ends and refuses all lines."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._whole = threading.Event()
        self._whole.set()
        self._asks, self._answers = threading.Event(), threading.Event()
        self._asks.set()
        self._answers.set()
        self._marker = b""
        self._door = socket.create_server((HOST, 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return  # closed: the end
            if not self._whole.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection((HOST, self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._ends |= {near, far}
            for pump in ((near, far, self._asks), (far, near, self._answers)):
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, flows: threading.Event) -> None:
        with contextlib.suppress(OSError):  # either side may end at any time; the other one is then ended, too
            while block := source.recv(BLOCK_BYTES):
                flows.wait()
                if flows is self._asks and self._marker and self._marker in block:
                    self._answers.clear()
                sink.sendall(block)
        self._end(source, sink)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._ends -= set(ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self) -> None:
        """End every line and refuse new ones."""
        self._whole.clear()
        with self._lock:
            ends = list(self._ends)
        self._end(*ends)

    def freeze(self) -> None:
        """Keep every line open, and let nothing through: what a machine that lost its power looks like."""
        self._asks.clear()
        self._answers.clear()

    def mute_after(self, marker: bytes) -> None:
        """Let everything through, but for answers from the moment on that something with this in it was asked."""
        self._marker = marker

    def heal(self) -> None:
        """Let lines through again, with what was held back."""
        self._marker = b""
        self._whole.set()
        self._asks.set()
        self._answers.set()

    def close(self) -> None:
        """End for good."""
        self.heal()
        self.cut()
        self._door.close()

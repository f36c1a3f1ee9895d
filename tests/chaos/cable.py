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
        self._flows = threading.Event()
        self._flows.set()
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
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either side may end at any time; the other one is then ended, too
            while block := source.recv(BLOCK_BYTES):
                self._flows.wait()
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
        self._flows.clear()

    def heal(self) -> None:
        """Let lines through again, with what was held back."""
        self._whole.set()
        self._flows.set()

    def close(self) -> None:
        """End for good."""
        self._flows.set()
        self.cut()
        self._door.close()

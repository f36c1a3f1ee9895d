"""Sotto as a process of its own, as `flask run` serves it, on the embedded database in a temporary folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from chat import embedded_db

HOUSE = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_TIMEOUT_S = 30
# Many people sign in from this one address.
WIDE = dict.fromkeys(
    ("LOGIN_LIMIT_PER_IP", "LOGIN_LIMIT_PER_USERNAME", "LOOKUP_LIMIT", "HISTORY_LIMIT"), "100000 per minute"
)


class Site:
    """A running Sotto; `origin` is its address. It may be killed and started again at the same address."""

    def __init__(self, instance: Path, **settings: str) -> None:
        # Held open by this process, so that the database outlives a server that is killed.
        self.database_uri = embedded_db.ensure_running(instance)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._port = probe.getsockname()[1]
        self.origin = f"http://localhost:{self._port}"
        self._log = instance / f"flask-{self._port}.log"
        self._environ = os.environ | WIDE | {"MONGODB_URI": "", "INSTANCE_PATH": str(instance), "LOG_LEVEL": "WARNING"}
        self._environ |= settings
        self.start()

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "flask", "run", "--host", HOST, "--port", str(self._port)]

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=HOUSE, env=self._environ, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=START_TIMEOUT_S)

    def database(self) -> Any:
        """Its database, as pymongo sees it."""
        return MongoClient(self.database_uri).get_default_database()

"""The servers under measurement: gunicorn units of Sotto and of the bare echo, with what their workers take."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOUSE = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 45
WARM_UP_S = 2.0
SECRET = "f3Yw0Rk9-_qZ7uVb2LmXc8NsT5hJgE1dPaQ6rKoWiB4="
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# The measurements are about speed: no limit may stand in their way.
WIDE = dict.fromkeys(
    ("LOGIN_LIMIT_PER_IP", "LOGIN_LIMIT_PER_USERNAME", "LOOKUP_LIMIT", "HISTORY_LIMIT"), "1000000 per minute"
)
WIDE |= {"EVENTS_PER_SECOND": "1000000", "SIGNALS_PER_SECOND": "1000000", "SOCKETS_PER_PERSON": "1000000"}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environ(database_uri: str) -> dict[str, str]:
    """The settings of a Sotto under measurement."""
    own = {"MONGODB_URI": database_uri, "SECRET_KEY": SECRET, "SOTTO_ENV": "production", "LOG_LEVEL": "WARNING"}
    return os.environ | WIDE | own


def sotto(database_uri: str, **settings: str) -> Unit:
    """A gunicorn unit of Sotto."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "app:app"]
    return Unit(port, command, environ(database_uri) | {"BIND": f"{HOST}:{port}"} | settings, "/readyz")


def bare_echo() -> Unit:
    """A gunicorn unit of the bare echo, with the libraries' defaults but for the number of connections."""
    port = free_port()
    options = ["-k", "eventlet", "-w", "1", "--worker-connections", "10000", "-b", f"{HOST}:{port}"]
    command = [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "benchmarks.bare_echo:app"]
    return Unit(port, command, dict(os.environ), "/")


class Unit:
    """One gunicorn with one worker, up from the constructor to the end of the `with`."""

    def __init__(self, port: int, command: list[str], environ: dict[str, str], path: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, cwd=HOUSE, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers(path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"{command} did not start:\n{self._process.communicate()[1].decode()[-2000:]}")
            time.sleep(0.1)
        self.worker = self._find_worker()

    def _answers(self, path: str) -> bool:
        try:
            urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=5).close()
        except urllib.error.HTTPError as answer:
            return answer.code == 404
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _find_worker(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    def resident_kib(self) -> int:
        """Memory of the worker, in KiB (RSS)."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu_s(self) -> float:
        """CPU time of the worker so far, in seconds."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        # Its lines are gone, so there is nothing to wait for; the group takes the worker along.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=STOP_TIMEOUT_S)


class Generator:
    """A load generator at work."""

    def __init__(self, do: str, port: int, **job: Any) -> None:
        job = {"do": do, "port": port, "warm_up_s": WARM_UP_S} | job
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=HOUSE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._write(json.dumps(job))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        report: dict[str, Any] = json.loads(line)
        return report

    def end(self) -> None:
        """Let an idle generator close its lines, and wait for its end."""
        if self._process.poll() is None:
            self._write("end")
        self._process.wait(timeout=STOP_TIMEOUT_S)


def run(do: str, unit: Unit, **job: Any) -> dict[str, Any]:
    """Do one job against a unit; what the generator saw, and the share of a core its worker took."""
    generator = Generator(do, unit.port, **job)
    generator.hear()  # the warm-up is over
    before = unit.cpu_s()
    report = generator.hear()
    report["worker_cpu"] = round((unit.cpu_s() - before) / job["seconds"], 2)
    report["per_cpu_second"] = round(report["per_second"] / max(report["worker_cpu"], 0.01), 1)
    generator.end()
    return report


def observe(do: str, port: int, **job: Any) -> dict[str, Any]:
    """Do one job against whoever listens on `port`; what the generator saw."""
    generator = Generator(do, port, **job)
    generator.hear()
    report = generator.hear()
    generator.end()
    return report

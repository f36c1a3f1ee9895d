"""What every answer carries, whom it is for, and what is said at a door that does not open."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import subprocess
import sys

import pytest

from chat import settings
from tests.conftest import Serve
from tests.people import HOUSE, Person, Server

FRIEND = "https://friend.example"
NOBODY = "000000000000"


@pytest.fixture(scope="module")
def neighbourly(serve: Serve) -> Server:
    """A Sotto that another web client may use, and that is easily tired."""
    return serve(CORS_ORIGINS=FRIEND, LOOKUP_LIMIT="2 per hour", METRICS_TOKEN="let me measure")


PLACES = [
    "/",
    "/login",
    "/nowhere",
    "/api/chat/messages",
    "/healthz",
    "/static/js/main.js",
    "/uploads/nothing",
    "/metrics",
]


@pytest.mark.parametrize("path", PLACES)
def test_every_answer_is_hardened(server: Server, path: str) -> None:
    headers = server.ask("GET", path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "geolocation=()" in headers["Permissions-Policy"]
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "Strict-Transport-Security" not in headers, "plain HTTP"


def test_https_is_to_stay_https(proxied: Server) -> None:
    answer = proxied.ask("GET", "/", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_pages_and_answers_are_nobody_elses_to_keep(server: Server, mara: Person) -> None:
    for path in ("/", f"/api/chat/user/{mara.id}", f"/fragments/history/{mara.id}"):
        assert mara.ask("GET", path).headers["Cache-Control"] == "no-store"


def test_the_policy_admits_the_import_map_of_the_page_and_nothing_else_inline(mara: Person) -> None:
    answer = mara.ask("GET", "/")
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', answer.text)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in answer.headers["Content-Security-Policy"]
    scripts = re.findall(r"<script\b([^>]*)>", answer.text)
    assert all("src=" in attributes for attributes in scripts if "importmap" not in attributes)


def test_everything_the_page_names_is_there_for_ever(server: Server, mara: Person) -> None:
    page = mara.ask("GET", "/").text
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', page)
    named = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', page)) | set(json.loads(inline)["imports"].values())
    assert len(named) > 20
    for path in named:
        answer = server.ask("GET", path)
        assert answer.status_code == 200, path
        assert {"public", "immutable", "max-age=31536000"} <= set(answer.headers["Cache-Control"].split(", ")), path


def test_a_plain_or_stale_name_is_asked_for_again(server: Server) -> None:
    for path in ("/static/js/main.js", "/static/js/main.000000000000.js"):
        answer = server.ask("GET", path)
        assert answer.status_code == 200
        assert "immutable" not in answer.headers["Cache-Control"]
        assert re.search(r"no-cache|max-age=0", answer.headers["Cache-Control"])


@pytest.mark.parametrize(("accepted", "coding"), [("gzip, deflate, br", "br"), ("gzip, deflate", "deflate")])
def test_scripts_travel_compressed(server: Server, accepted: str, coding: str) -> None:
    answer = server.ask("GET", "/static/js/crypto.js", headers={"Accept-Encoding": accepted}, stream=True)
    assert answer.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.raw.read(decode_content=False)) < (HOUSE / "static/js/crypto.js").stat().st_size / 2


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_pages_travel_compressed(mara: Person, coding: str) -> None:
    answer = mara.ask("GET", "/", headers={"Accept-Encoding": coding})
    assert answer.headers["Content-Encoding"] == coding
    assert "<html" in answer.text


@pytest.mark.parametrize(
    "path", ["..%2f..%2fapp.py", "%2e%2e/app.py", "js/..%2f..%2fchat/settings.py", "%00", "a" * 300]
)
def test_no_path_leads_out_of_static(server: Server, path: str) -> None:
    answer = server.ask("GET", f"/static/{path}")
    assert answer.status_code == 404
    assert "import " not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "not_found"),
        ("DELETE", "/api/auth/login", 405, "method_not_allowed"),
        ("GET", "/api/chat/messages", 401, "unauthorized"),
        ("POST", "/api/upload", 401, "unauthorized"),
        ("GET", "/api/ice", 401, "unauthorized"),
        ("GET", "/uploads/nothing", 404, "not_found"),
    ],
)
def test_programs_are_refused_in_json(server: Server, method: str, path: str, status: int, code: str) -> None:
    answer = server.ask(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["code"] == code
    assert answer.json().keys() == {"code", "message"}


def test_people_are_refused_on_a_page(server: Server) -> None:
    answer = server.ask("GET", "/nowhere", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html" in answer.text
    assert server.ask("GET", "/nowhere", headers={"Accept": "application/json"}).json()["code"] == "not_found"


def test_htmx_is_refused_in_a_fragment_and_sent_to_the_login_when_it_has_to(server: Server, mara: Person) -> None:
    refused = mara.ask("GET", f"/fragments/contact?customId={NOBODY}", headers={"HX-Request": "true"})
    assert refused.status_code == 404
    assert "User not found" in refused.text
    assert "<html" not in refused.text
    anonymous = server.ask("GET", f"/fragments/contact?customId={NOBODY}", headers={"HX-Request": "true"})
    assert (anonymous.status_code, anonymous.headers["HX-Redirect"]) == (401, "/")


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_too_large_a_body_is_said_to_be(server: Server, size: int) -> None:
    answer = server.ask("POST", "/api/auth/login", data=b"x" * size, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_looking_people_up_is_limited_by_account_on_both_doors(neighbourly: Server) -> None:
    mara, jonas = Person(neighbourly), Person(neighbourly)
    for path in (f"/api/chat/user/{jonas.id}", f"/fragments/contact?customId={jonas.id}"):
        assert mara.ask("GET", path).status_code == 200
    program = mara.ask("GET", f"/api/chat/user/{jonas.id}", headers={"Origin": FRIEND})
    assert (program.status_code, program.json()["code"]) == (429, "rate_limited")
    assert int(program.headers["Retry-After"]) > 0
    assert program.headers["Access-Control-Allow-Origin"] == FRIEND
    page = mara.ask("GET", f"/fragments/contact?customId={jonas.id}", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["Content-Type"]) == (429, "text/html; charset=utf-8")
    assert jonas.ask("GET", f"/api/chat/user/{mara.id}").status_code == 200, "others are not"


def test_a_web_client_of_an_allowed_origin_may_read_answers_and_refusals(neighbourly: Server) -> None:
    for method, path in (("POST", "/api/auth/login"), ("GET", "/api/chat/messages"), ("GET", "/api/nowhere")):
        answer = neighbourly.ask(method, path, headers={"Origin": FRIEND})
        assert answer.status_code >= 400
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/chat/messages/x", "/api/upload"])
def test_its_preflights_allow_what_it_needs(neighbourly: Server, path: str) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, content-type"}
    answer = neighbourly.ask("OPTIONS", path, headers={"Origin": FRIEND} | asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert {"GET", "POST", "PUT"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert {"authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))


@pytest.mark.parametrize("origin", ["https://evil.example", "https://friend.example.evil.example", "null"])
def test_no_other_origin_may(neighbourly: Server, origin: str) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Origin": origin}
    assert "Access-Control-Allow-Origin" not in neighbourly.ask("OPTIONS", "/api/auth/login", headers=asked).headers
    answer = neighbourly.ask("GET", "/api/chat/messages", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_pages_are_for_no_other_origin_at_all(neighbourly: Server) -> None:
    assert "Access-Control-Allow-Origin" not in neighbourly.ask("GET", "/", headers={"Origin": FRIEND}).headers


@pytest.mark.parametrize(("origin", "status"), [(FRIEND, 200), ("https://evil.example", 400), (None, 200)])
def test_the_socket_opens_for_the_same_origins(neighbourly: Server, origin: str | None, status: int) -> None:
    headers = {"Origin": origin} if origin else {}
    assert neighbourly.ask("GET", "/socket.io/?EIO=4&transport=polling", headers=headers).status_code == status


def test_alive_and_ready(server: Server) -> None:
    assert server.ask("GET", "/healthz").json() == {"status": "ok"}
    assert server.ask("GET", "/readyz").json() == {"status": "ok"}


def test_measures_are_for_this_machine_or_a_token(server: Server, neighbourly: Server) -> None:
    here = server.ask("GET", "/metrics")
    assert here.status_code == 200
    assert "sotto_messages_committed_total" in here.text
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert server.ask("GET", "/metrics", headers=forwarded).status_code == 403, "a proxy is not this machine"
    for token, status in (("let me measure", 200), ("let me guess", 403), ("", 403)):
        headers = forwarded | {"Authorization": f"Bearer {token}"}
        assert neighbourly.ask("GET", "/metrics", headers=headers).status_code == status


GOOD = {
    "SOTTO_ENV": "production",
    "MONGODB_URI": "mongodb://127.0.0.1:1/x",
    "SECRET_KEY": secrets.token_urlsafe(48),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URI", ""),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 64),
        ("SOTTO_ENV", "prod"),
        ("REGISTRATION", "friends"),
        ("LOGIN_LIMIT_PER_IP", "often"),
        ("TRUSTED_PROXIES", "-1"),
        ("MAX_UPLOAD_MB", "much"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_in_one_line(name: str, value: str) -> None:
    assert settings.read(GOOD)["SOTTO_ENV"] == "production"
    with pytest.raises(settings.SettingsFault, match=rf"^{name}\b[^\n]*$"):
        settings.read(GOOD | {name: value})


def test_a_production_server_with_a_weak_secret_does_not_start(server: Server) -> None:
    command = [sys.executable, "-m", "flask", "run", "--port", "0"]
    environ = server.environ | GOOD | {"SECRET_KEY": "secret"}
    done = subprocess.run(command, cwd=HOUSE, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "SECRET_KEY is missing or weak" in line

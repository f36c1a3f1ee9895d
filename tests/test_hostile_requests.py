"""What comes over HTTP, or before a socket is open, from somebody who means harm: refused in words, each time."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from tests.conftest import unharmed
from tests.line import ConnectRefused, Line
from tests.people import PASSPHRASE, Person, Server
from tests.seals import sealed

NOBODY = "000000000000"
DEEP = b"[" * 100_000
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def pair(server: Server) -> tuple[Person, Person]:
    """Somebody who misbehaves, and their contact."""
    mallory, victim = Person(server), Person(server)
    mallory.befriend(victim)
    return mallory, victim


@pytest.fixture
def mallory(pair: tuple[Person, Person]) -> Iterator[Person]:
    """The one who misbehaves; afterwards the server is unharmed and still serves both."""
    with unharmed(pair[0].server, *pair):
        yield pair[0]


UNREADABLE_BODIES = [b"", b"{", b"nonsense", b"\xff\xfe{}", b'{"text":', DEEP, b'{"a":' * 30_000]
WRONG_BODIES = [b"null", b"[]", b"[[]]", b"5", b"true", b'"words"', b"{}", b"NaN", b'{"username":NaN,"text":NaN}']
DOORS = [("POST", "/api/auth/login"), ("PUT", "/api/chat/messages/nothing")]


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_a_body_that_cannot_be_read_is_refused(mallory: Person, method: str, path: str) -> None:
    for body in UNREADABLE_BODIES:
        for headers in (JSON, {"Content-Type": "text/plain"}):
            answer = mallory.ask(method, path, data=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), body[:20]


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_a_body_of_another_shape_is_refused(mallory: Person, method: str, path: str) -> None:
    for body in WRONG_BODIES:
        answer = mallory.ask(method, path, data=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation"), body


@pytest.mark.parametrize("field", ["username", "passphrase", "inviteCode"])
def test_a_login_field_of_another_kind_is_refused(mallory: Person, field: str) -> None:
    for value in ({"$gt": ""}, {"$ne": None}, ["mara"], 5, True, None, "\ud800" * 8, "x" * 5000):
        body = {"username": mallory.username, "passphrase": PASSPHRASE, field: value}
        answer = mallory.server.ask("POST", "/api/auth/login", data=json.dumps(body), headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation"), value
        assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize("text", ["in clear", {"$gt": ""}, None, 5, ["x"], "\ud800", "[" * 5000], ids=repr)
def test_what_is_not_sealed_replaces_nothing(mallory: Person, text: Any) -> None:
    answer = mallory.ask("PUT", "/api/chat/messages/nothing", data=json.dumps({"text": text}), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation")


@pytest.mark.parametrize("name", ["%00", "%ff", "$where", "a" * 3000, "{}", f"{NOBODY}:x", "[$gt]"])
def test_a_message_that_is_not_there_is_not_found(mallory: Person, name: str) -> None:
    answer = mallory.ask("PUT", f"/api/chat/messages/{name}", json={"text": sealed()})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "name", ["12345", "1" * 13, "%00" * 12, "１" * 12, "$gt", "[$ne]", "1234567890 2", "123456789012%0a"]
)
def test_an_id_that_is_none_is_refused_wherever_it_stands(mallory: Person, name: str) -> None:
    for path in (
        f"/api/chat/user/{name}",
        f"/api/chat/messages?user1={mallory.id}&user2={name}",
        f"/fragments/history/{name}",
    ):
        answer = mallory.ask("GET", path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation"), path


@pytest.mark.parametrize(
    "query", ["user1[$gt]=&user2[$gt]=", "user1=x", "", "user1[]=1&user2[]=2", "%00=%00", "&" * 500]
)
def test_a_query_of_operators_is_refused(mallory: Person, query: str) -> None:
    answer = mallory.ask("GET", f"/api/chat/messages?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "validation")


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "-1", "1e3", "NaN", "inf", "0x10", "%00", "[]", "true"])
def test_a_number_that_is_none_is_refused(mallory: Person, number: str) -> None:
    for path in (f"/api/chat/messages?user1={mallory.id}&user2={NOBODY}&before={number}",):
        answer = mallory.ask("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation")
    assert mallory.ask("GET", f"/fragments/history/{mallory.id}?before={number}").status_code == 400


@pytest.mark.parametrize("name", ["%00", "A" * 32, "A" * 5000, "..%2f..%2fapp.py", "%2e%2e", "$gt", "{}"])
def test_an_upload_that_is_not_there_is_not_found(mallory: Person, name: str) -> None:
    answer = mallory.server.ask("GET", f"/uploads/{name}", headers={"Range": "bytes=9-1"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


PARTS = b"".join(b'--x\r\nContent-Disposition: form-data; name="p%d"\r\n\r\n1\r\n' % n for n in range(2000)) + b"--x--"
FORMS = {
    "no form": (b"words", "text/plain", 400),
    "no boundary": (b"words", "multipart/form-data", 400),
    "no part": (b"words", "multipart/form-data; boundary=x", 400),
    "another field": (b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n1\r\n--x--', "x", 400),
    "empty file": (b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n\r\n--x--', "x", 400),
    "thousands of parts": (PARTS, "x", 413),
    "a huge field": (
        b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + b"1" * 900_000 + b"\r\n--x--",
        "x",
        413,
    ),
}


@pytest.mark.parametrize(("body", "kind", "status"), FORMS.values(), ids=FORMS.keys())
def test_a_form_that_brings_no_file_is_refused_at_once(mallory: Person, body: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind if "/" in kind else f"multipart/form-data; boundary={kind}"}
    answer = mallory.ask("POST", "/api/upload", data=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["code"] == ("validation" if status == 400 else "too_large")


def part(value: Any) -> str:
    """One part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(person: Person) -> dict[str, Any]:
    """What a token of this person says."""
    claims: dict[str, Any] = jwt.decode(person.token, options={"verify_signature": False})
    return claims


BAD_TOKENS = {
    "garbage": lambda _: "garbage",
    "three dots": lambda _: "...",
    "not signed": lambda claims: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
    "not signed, in capitals": lambda claims: f"{part({'alg': 'NONE', 'typ': 'JWT'})}.{part(claims)}.",
    "no signature": lambda claims: f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.",
    "another key": lambda claims: jwt.encode(claims, "k" * 48, "HS256"),
    "another algorithm": lambda claims: jwt.encode(claims, "k" * 64, "HS512"),
    "a deep header": lambda claims: f"{part(b'[' * 5000)}.{part(claims)}.x",
    "a deep body": lambda _: f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(b'[' * 5000)}.x",
    "a list for a header": lambda claims: f"{part([])}.{part(claims)}.x",
    "very long": lambda _: "x" * 30_000,
}


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_forged_token_opens_no_door(mallory: Person, make: Any) -> None:
    token = make(claims_of(mallory))
    headers = {"Authorization": f"Bearer {token}"}
    refused = mallory.server.ask("GET", f"/api/chat/user/{mallory.id}", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    with pytest.raises(ConnectRefused, match=r"^Authentication error: Invalid token$"):
        Line(mallory.server.origin, {"token": token})
    page = mallory.server.ask("GET", "/", cookies={"sotto_token": token})
    assert page.status_code == 200
    assert "data-custom-id" not in page.text


@pytest.mark.parametrize("change", [{"sub": NOBODY}, {"type": "refresh"}, {"exp": 1}, {"nbf": 2**40}], ids=str)
def test_a_token_with_the_right_signature_and_wrong_claims_opens_no_socket(
    mallory: Person, change: dict[str, Any]
) -> None:
    secret = (mallory.server.log.parent / "secret_key").read_text()
    good = claims_of(mallory) | {"exp": time.time() + 60}
    Line(mallory.server.origin, {"token": jwt.encode(good, secret)}).close()
    with pytest.raises(ConnectRefused, match="Invalid token"):
        Line(mallory.server.origin, {"token": jwt.encode(good | change, secret)})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic bWFyYTp4", "Bearer a b c", "bearer", "Token x"])
def test_a_header_without_a_token_opens_no_door(mallory: Person, header: str) -> None:
    for method, path in (("GET", f"/api/chat/user/{NOBODY}"), ("GET", "/api/ice"), ("POST", "/api/auth/logout")):
        answer = mallory.server.ask(method, path, headers={"Authorization": header})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("auth", "sentence"),
    [
        (None, "No token provided"),
        ("{}", "No token provided"),
        ("[1]", "No token provided"),
        ('"words"', "No token provided"),
        ('{"token":""}', "No token provided"),
        ('{"token":null}', "No token provided"),
        ('{"token":', "No token provided"),
        (DEEP.decode(), "No token provided"),
        ('{"token":5}', "Invalid token"),
        ('{"token":{"$gt":""}}', "Invalid token"),
        ('{"token":["x"]}', "Invalid token"),
        ('{"token":"\\ud800"}', "Invalid token"),
        ('{"token":"é.é.é"}', "Invalid token"),
        (f'{{"token":"{"x" * 500_000}"}}', "Invalid token"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_handshake_without_a_good_token_is_refused_in_the_agreed_words(
    mallory: Person, auth: str | None, sentence: str
) -> None:
    with pytest.raises(ConnectRefused, match=f"^Authentication error: {sentence}$"):
        Line(mallory.server.origin, auth)


POSTS = [
    b"x",
    b"\xff",
    b"0",
    b"2probe",
    b"4",
    b"\x1e" * 50,
    b"d=",
    b"b!!!",
    DEEP,
    b"4" + DEEP,
    b"4" * 1_100_000,
]


@pytest.mark.parametrize("body", POSTS, ids=lambda body: repr(body[:8]))
def test_garbage_over_the_polling_transport_is_answered(mallory: Person, body: bytes) -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    opened = mallory.server.ask("GET", path)
    path += f"&sid={json.loads(opened.text[1:])['sid']}"
    token = json.dumps({"token": mallory.token})
    assert mallory.server.ask("POST", path, data=f"40{token}").status_code == 200
    assert mallory.server.ask("POST", path, data=body).status_code == 200
    came = mallory.server.ask("GET", path).text
    while '"error"' not in came:  # the ping, the connection, the presence of contacts
        came = mallory.server.ask("GET", path).text
    assert "The event could not be read." in came
    mallory.server.ask("POST", path, data="41")


@pytest.mark.parametrize("query", ["", "EIO=3&transport=polling", "EIO=4&transport=carrier-pigeon", "EIO=4&sid=nobody"])
def test_a_handshake_of_another_protocol_is_a_bad_request(mallory: Person, query: str) -> None:
    assert mallory.server.ask("GET", f"/socket.io/?{query}").status_code == 400

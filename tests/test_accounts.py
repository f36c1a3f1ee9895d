"""Coming in and going out: by the API, as programs do."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from argon2 import PasswordHasher
from mongoengine import connect, disconnect

from chat.accounts import Accounts
from chat.models import User
from tests.conftest import Join, Serve
from tests.line import ConnectRefused, Line
from tests.people import HOUSE, PASSPHRASE, Person, Server
from tests.waiting import wait_until

TOO_MANY = 429


def fresh_name() -> str:
    """A username nobody has."""
    return f"n-{secrets.token_hex(6)}"


def test_the_first_login_makes_the_account_and_the_second_enters_it(server: Server) -> None:
    name = fresh_name()
    first, second = server.login(name).json(), server.login(name).json()
    assert first.keys() == {"customId", "username", "isOnline", "lastSeen", "token", "isNew"}
    assert (first["isNew"], second["isNew"]) == (True, False)
    assert first["customId"] == second["customId"]
    assert len(first["customId"]) == 12
    assert first["customId"].isdecimal()
    assert first["username"] == name
    assert first["token"] != second["token"]


def test_names_are_one_whatever_their_case_and_spaces_around(server: Server) -> None:
    name = fresh_name()
    made = server.login(name).json()
    again = server.login(f"  {name.upper()} ").json()
    assert (again["customId"], again["username"], again["isNew"]) == (made["customId"], name, False)


def test_a_wrong_passphrase_is_401_and_sets_nothing(server: Server, mara: Person) -> None:
    answer = server.login(mara.username, "not the passphrase")
    assert answer.status_code == 401
    assert answer.json() == {"code": "unauthorized", "message": "Wrong passphrase for this username."}
    assert not answer.cookies


def test_the_api_sets_no_cookie(server: Server) -> None:
    assert not server.login(fresh_name()).cookies


@pytest.mark.parametrize(
    ("username", "passphrase", "errors"),
    [
        ("ab", PASSPHRASE, {"username": "Username must be between 3 and 30 characters"}),
        ("a" * 31, PASSPHRASE, {"username": "Username must be between 3 and 30 characters"}),
        ("no spaces", PASSPHRASE, {"username": "Username may have letters, digits, _ and - only"}),
        ("mara\n", "short", {"passphrase": "Passphrase must be at least 8 characters"}),
        ("ünï", PASSPHRASE, {"username": "Username may have letters, digits, _ and - only"}),
        ("mara", "p" * 129, {"passphrase": "Passphrase must be at most 128 characters"}),
        (
            "ab",
            "short",
            {
                "username": "Username must be between 3 and 30 characters",
                "passphrase": "Passphrase must be at least 8 characters",
            },
        ),
    ],
)
def test_what_is_wrong_is_said_field_by_field(
    server: Server, username: str, passphrase: str, errors: dict[str, str]
) -> None:
    answer = server.login(username, passphrase)
    assert answer.status_code == 400
    assert answer.json() == {"code": "validation", "message": next(iter(errors.values())), "errors": errors}


def test_missing_fields_are_said_in_the_same_words(server: Server) -> None:
    answer = server.ask("POST", "/api/auth/login", json={})
    assert answer.json()["errors"] == {
        "username": "Username must be between 3 and 30 characters",
        "passphrase": "Passphrase must be at least 8 characters",
    }


def test_the_longest_and_shortest_allowed_enter(server: Server) -> None:
    assert server.login(secrets.token_hex(15), "p" * 128).status_code == 200
    assert server.login(secrets.token_hex(2)[:3], "p" * 8).status_code in (200, 401)


def test_a_passphrase_keeps_its_spaces(server: Server) -> None:
    name = fresh_name()
    assert server.login(name, " " * 8).status_code == 200
    assert server.login(name, " " * 9).status_code == 401


def test_first_logins_at_once_make_one_account(server: Server) -> None:
    name = fresh_name()
    with ThreadPoolExecutor(6) as at_once:
        answers = list(at_once.map(lambda _: server.login(name), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["customId"] for answer in answers}) == 1
    assert sum(answer.json()["isNew"] for answer in answers) == 1
    assert server.database()["users"].count_documents({"username_key": name}) == 1


def test_a_first_login_at_once_with_another_passphrase_is_refused(server: Server) -> None:
    name = fresh_name()
    with ThreadPoolExecutor(2) as at_once:
        answers = list(at_once.map(lambda words: server.login(name, words), (PASSPHRASE, "another passphrase")))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


def test_logout_ends_the_token_and_its_sockets_and_no_other(server: Server, mara: Person, join: Join) -> None:
    elsewhere = join(username=mara.username)
    tabs = [mara.connect(), mara.connect()]
    other = elsewhere.connect()
    assert mara.ask("POST", "/api/auth/logout").status_code == 204
    for tab in tabs:
        tab.wait_for("logged_out")
        tab.wait_for_end()
    refused = mara.ask("GET", f"/api/chat/user/{mara.id}")
    assert refused.status_code == 401
    assert refused.json()["code"] == "unauthorized"
    with pytest.raises(ConnectRefused, match="Authentication error: Invalid token"):
        Line(server.origin, {"token": mara.token})
    other.settle()
    assert other.all("logged_out") == []
    assert elsewhere.ask("GET", f"/api/chat/user/{mara.id}").json()["isOnline"] is True


def test_a_restart_remembers_who_was_logged_out(server: Server, mara: Person, jonas: Person) -> None:
    mara.ask("POST", "/api/auth/logout")
    server.kill()
    server.start()
    assert mara.ask("GET", f"/api/chat/user/{jonas.id}").status_code == 401
    assert jonas.ask("GET", f"/api/chat/user/{mara.id}").status_code == 200


def test_a_token_ends_with_its_time_and_so_does_its_socket(serve: Serve) -> None:
    server = serve(TOKEN_LIFETIME_S="3")
    mara = Person(server)
    line = mara.connect()
    assert mara.ask("GET", f"/api/chat/user/{mara.id}").status_code == 200
    wait_until(lambda: mara.ask("GET", f"/api/chat/user/{mara.id}").status_code == 401, "the end of the token")
    assert line.refused("user_connected", mara.id) == "unauthorized"
    with pytest.raises(ConnectRefused, match="Invalid token"):
        mara.connect()


@pytest.fixture(scope="module")
def by_invitation(serve: Serve) -> Server:
    """A Sotto that takes new people with a code only."""
    return serve(REGISTRATION="invite")


@pytest.fixture(scope="module")
def codes(by_invitation: Server) -> list[str]:
    """Codes from the operator's shell."""
    command = [sys.executable, "-m", "flask", "sotto", "invite", "--count", "3"]
    done = subprocess.run(command, cwd=HOUSE, env=by_invitation.environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_where_invites_are_needed_a_code_is_good_for_one_account(
    by_invitation: Server, codes: list[str], mara: Person
) -> None:
    name = fresh_name()
    for code in ("", "never-made"):
        refused = by_invitation.login(name, inviteCode=code)
        assert (refused.status_code, refused.json()["code"]) == (403, "registration_closed")
        assert "inviteCode" in refused.json()["errors"]
    assert len(set(codes)) == 3
    assert by_invitation.login(name, inviteCode=codes[0]).json()["isNew"] is True
    assert by_invitation.login(fresh_name(), inviteCode=codes[0]).status_code == 403
    assert by_invitation.login(mara.username).json()["isNew"] is False, "known people need none"
    assert codes[1] not in str(list(by_invitation.database()["invites"].find())), "a thief of the database gets none"


def test_one_code_sent_at_once_makes_one_account(by_invitation: Server, codes: list[str]) -> None:
    with ThreadPoolExecutor(4) as at_once:
        answers = at_once.map(lambda _: by_invitation.login(fresh_name(), inviteCode=codes[2]).status_code, range(4))
    assert sorted(answers) == [200, 403, 403, 403]


def test_a_closed_server_lets_known_people_in_and_nobody_else(serve: Serve, mara: Person) -> None:
    server = serve(REGISTRATION="closed")
    refused = server.login(fresh_name())
    assert (refused.status_code, refused.json()["code"]) == (403, "registration_closed")
    assert server.login(mara.username).status_code == 200


def test_guesses_at_one_name_are_limited_however_and_wherever_they_come_from(proxied: Server, mara: Person) -> None:
    guess = {"username": mara.username, "passphrase": "a wrong guess"}

    def send(path: str, address: str, **body: object) -> requests.Response:
        return proxied.ask("POST", path, headers={"X-Forwarded-For": address, "Content-Type": "text/plain"}, **body)

    assert proxied.login(mara.username, "a wrong guess", address="203.0.113.2").status_code == 401
    assert proxied.login(f" {mara.username.upper()} ", "a wrong guess", address="203.0.113.3").status_code == 401
    assert send("/api/auth/login", "203.0.113.4", data=json.dumps(guess)).status_code == 401
    for limited in (
        proxied.login(mara.username, address="203.0.113.5"),
        send("/api/auth/login", "203.0.113.5", data=json.dumps(guess)),
        proxied.ask("POST", "/login", data=guess, headers={"X-Forwarded-For": "203.0.113.5"}),
    ):
        assert limited.status_code == TOO_MANY
        assert 1 <= int(limited.headers["Retry-After"]) <= 3600
    assert proxied.login(fresh_name(), address="203.0.113.5").status_code == 200, "others are not locked out"


def test_right_passphrases_spend_nothing_of_a_names_budget(proxied: Server, mara: Person) -> None:
    assert {proxied.login(mara.username, address="203.0.113.6").status_code for _ in range(5)} == {200}


def test_attempts_from_one_address_are_limited_over_all_names(proxied: Server) -> None:
    answers = [proxied.login("x", address="203.0.113.7") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [400] * 6 + [TOO_MANY]
    body = answers[6].json()
    assert body["code"] == "rate_limited"
    assert 1 <= int(answers[6].headers["Retry-After"]) <= 3600
    assert body["retryAfter"] >= 1
    page = proxied.ask("POST", "/login", data={"username": "mara"}, headers={"X-Forwarded-For": "203.0.113.7"})
    assert page.status_code == TOO_MANY
    assert "<form" in page.text
    assert proxied.login("x", address="203.0.113.8").status_code == 400, "others are not locked out"


def test_an_address_nobody_vouches_for_is_no_way_around_the_limit(serve: Serve) -> None:
    server = serve(LOGIN_LIMIT_PER_IP="2 per hour")
    answers = [server.login("x", address=f"203.0.113.{number}").status_code for number in range(3)]
    assert answers == [400, 400, TOO_MANY]


def test_a_hash_of_older_parameters_is_renewed_at_the_next_login(server: Server) -> None:
    connect(host=server.database_uri, tz_aware=True, uuidRepresentation="standard")
    try:
        cheap, name = PasswordHasher(time_cost=1, memory_cost=64), fresh_name()
        Accounts("open", "threading", cheap).sign_in(name, PASSPHRASE)
        before = User.objects(username_key=name).get().passphrase_hash
        user, is_new = Accounts("closed", "threading").sign_in(name, PASSPHRASE)
        after = User.objects(username_key=name).get().passphrase_hash
    finally:
        disconnect()
    assert not is_new
    assert after != before
    assert not PasswordHasher().check_needs_rehash(after)
    assert server.login(name).json()["customId"] == user.custom_id


def test_passphrases_are_kept_as_argon2id_alone(server: Server, mara: Person) -> None:
    kept = server.database()["users"].find_one({"_id": mara.id})
    assert kept["passphrase_hash"].startswith("$argon2id$")
    assert PASSPHRASE not in str(kept)

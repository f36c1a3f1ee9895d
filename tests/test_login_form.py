"""The login form, as a browser with or without script sends it, and as another site would like to."""

from __future__ import annotations

import re
import secrets

import pytest
import requests

from tests.people import PASSPHRASE, Person, Server


def fill_in(server: Server, username: str = "", passphrase: str = PASSPHRASE, **headers: str) -> requests.Response:
    """Send the form."""
    name = username or f"n-{secrets.token_hex(6)}"
    return server.ask("POST", "/login", data={"username": name, "passphrase": passphrase}, headers=headers)


def cookies_of(answer: requests.Response) -> dict[str, str]:
    """`{name: the whole Set-Cookie header}`."""
    return {line.partition("=")[0]: line for line in answer.raw.headers.getlist("Set-Cookie")}


def test_without_script_the_form_leads_to_the_chat_with_a_cookie_script_cannot_read(server: Server) -> None:
    answer = fill_in(server)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/?welcome=1"
    cookies = cookies_of(answer)
    assert cookies.keys() == {"sotto_token", "sotto_csrf"}
    assert "; HttpOnly" in cookies["sotto_token"]
    assert "; HttpOnly" not in cookies["sotto_csrf"]
    for cookie in cookies.values():
        assert "; SameSite=Strict" in cookie
        assert "; Path=/" in cookie
        assert "; Secure" not in cookie, "plain HTTP on a LAN could not log in"
    page = server.ask("GET", "/", cookies=answer.cookies.get_dict())
    assert re.search(r'data-custom-id="\d{12}"', page.text)


def test_a_known_name_is_not_welcomed_as_new(server: Server, mara: Person) -> None:
    assert fill_in(server, mara.username).headers["Location"] == "/"


def test_htmx_is_told_where_to_go(server: Server) -> None:
    answer = fill_in(server, **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/?welcome=1")
    assert "sotto_token" in cookies_of(answer)


def test_htmx_gets_the_form_alone_with_what_is_wrong_and_never_the_passphrase(server: Server) -> None:
    answer = fill_in(server, "a<b", "sevench", **{"HX-Request": "true"})
    assert answer.status_code == 400
    assert answer.text.lstrip().startswith("<form")
    assert "<html" not in answer.text
    assert "Passphrase must be at least 8 characters" in answer.text
    assert 'value="a&lt;b"' in answer.text
    assert "sevench" not in answer.text


def test_without_script_a_refusal_is_a_page(server: Server, mara: Person) -> None:
    answer = fill_in(server, mara.username, "not the passphrase")
    assert answer.status_code == 401
    assert "<html" in answer.text
    assert "Wrong passphrase for this username." in answer.text
    assert not answer.cookies


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=str,
)
def test_a_form_sent_from_another_site_is_refused(server: Server, headers: dict[str, str]) -> None:
    answer = fill_in(server, **headers)
    assert answer.status_code == 403
    assert not answer.cookies


def test_the_sites_own_form_says_where_it_comes_from_and_passes(server: Server) -> None:
    assert fill_in(server, Origin=server.origin, **{"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_a_cookie_alone_changes_nothing_without_its_csrf_token(server: Server, mara: Person) -> None:
    entered = fill_in(server, mara.username).cookies.get_dict()
    for path in ("/logout", "/api/auth/logout"):
        refused = server.ask("POST", path, cookies=entered, headers={"Accept": "application/json"})
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    forged = server.ask("POST", "/logout", cookies=entered, headers={"X-CSRF-TOKEN": secrets.token_hex(16)})
    assert forged.status_code == 403
    assert "data-custom-id" in server.ask("GET", "/", cookies=entered).text, "still logged in"


def test_logging_out_ends_the_cookie_on_both_sides(server: Server, mara: Person) -> None:
    entered = fill_in(server, mara.username).cookies.get_dict()
    left = server.ask("POST", "/logout", cookies=entered, headers={"X-CSRF-TOKEN": entered["sotto_csrf"]})
    assert left.status_code == 303
    assert all(
        "expires=Thu, 01 Jan 1970" in cookie.replace("Expires", "expires") for cookie in cookies_of(left).values()
    )
    stolen = server.ask("GET", "/", cookies=entered)
    assert "<form" in stolen.text
    assert "data-custom-id" not in stolen.text


def test_under_https_cookies_are_secure(proxied: Server) -> None:
    https = fill_in(proxied, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.1"})
    assert https.status_code == 303
    assert all("; Secure" in cookie for cookie in cookies_of(https).values())


def test_a_proxy_nobody_named_is_not_believed(server: Server) -> None:
    answer = fill_in(server, **{"X-Forwarded-Proto": "https"})
    assert not any("; Secure" in cookie for cookie in cookies_of(answer).values())
    assert "Strict-Transport-Security" not in answer.headers


def test_a_link_from_another_site_finds_the_login(server: Server, mara: Person) -> None:
    # A SameSite=Strict cookie is not sent when such a link is followed: the page knocks again from inside.
    answer = server.ask("GET", "/", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert "<form" not in answer.text

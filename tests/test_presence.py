"""Who is here, and who may know: those one exchanged keys with, and those one has asked."""

from __future__ import annotations

from typing import Any

from tests.conftest import Join
from tests.line import Line
from tests.people import Person
from tests.seals import KeyPair
from tests.waiting import wait_until


def of(person: Person, online: bool) -> Any:
    """Condition: news that this person came, or went."""
    return lambda news: news["userId"] == person.id and news["isOnline"] is online


def heard_of(line: Line, person: Person) -> list[dict[str, Any]]:
    """All a socket was told about a person."""
    line.settle()
    return [news for news in line.all("update_user_status") if news["userId"] == person.id]


def sees(person: Person, other: Person) -> bool:
    """What the lookup by id says."""
    online: bool = person.ask("GET", f"/api/chat/user/{other.id}").json()["isOnline"]
    return online


def test_a_contact_hears_of_coming_and_going_with_the_time(mara: Person, jonas: Person) -> None:
    mara.befriend(jonas)
    mara.line.wait_for("update_user_status", of(jonas, True))
    jonas.leave()
    gone = mara.line.wait_for("update_user_status", of(jonas, False))
    assert gone.keys() == {"userId", "isOnline", "lastSeen"}
    assert gone["lastSeen"].endswith("Z")
    seen = len(mara.line.all("update_user_status"))
    jonas.connect()
    wait_until(lambda: any(map(of(jonas, True), mara.line.all("update_user_status")[seen:])), "the return")


def test_a_new_socket_is_told_about_every_contact(mara: Person, jonas: Person, join: Join) -> None:
    away = join()
    mara.befriend(jonas)
    mara.befriend(away)
    away.leave()
    gone = mara.line.wait_for("update_user_status", of(away, False))
    tab = mara.connect()
    assert tab.wait_for("update_user_status", of(jonas, True))
    told = tab.wait_for("update_user_status", of(away, False))
    assert "2020" < told["lastSeen"] <= gone["lastSeen"]


def test_one_of_several_tabs_that_closes_takes_nobody_away(mara: Person, jonas: Person) -> None:
    mara.befriend(jonas)
    second = jonas.connect()
    second.close()
    jonas.line.settle()
    assert sees(mara, jonas)
    assert not any(map(of(jonas, False), heard_of(mara.line, jonas)))


def test_a_stranger_sees_nothing(mara: Person, jonas: Person) -> None:
    stranger_line = mara.connect()
    jonas.connect()
    jonas.leave()
    jonas.connect()
    assert heard_of(stranger_line, jonas) == []
    assert not sees(mara, jonas)
    assert sees(jonas, jonas)


def test_an_open_ask_shows_the_asked_to_the_asker_and_not_the_other_way(mara: Person, jonas: Person) -> None:
    jonas.connect()
    mara.line.ask("request_key_exchange", {"targetUserId": jonas.id, "publicKey": KeyPair.fresh().public})
    assert mara.line.wait_for("update_user_status", of(jonas, True))
    assert sees(mara, jonas)
    assert not sees(jonas, mara)
    mara.leave()
    mara.connect()
    assert heard_of(jonas.line, mara) == []


def test_an_ask_taken_back_or_declined_shows_nothing_any_more(mara: Person, jonas: Person, join: Join) -> None:
    other = join()
    jonas.connect()
    for asker in (mara, other):
        asker.line.ask("request_key_exchange", {"targetUserId": jonas.id, "publicKey": KeyPair.fresh().public})
    mara.line.ask("cancel_key_exchange", {"targetUserId": jonas.id})
    jonas.line.ask("respond_key_exchange", {"targetUserId": other.id, "publicKey": None, "accepted": False})
    before = [len(heard_of(asker.line, jonas)) for asker in (mara, other)]
    jonas.leave()
    jonas.connect()
    assert [len(heard_of(asker.line, jonas)) for asker in (mara, other)] == before
    assert not sees(mara, jonas)
    assert not sees(other, jonas)


def test_typing_reaches_the_contact_and_says_who(mara: Person, jonas: Person) -> None:
    mara.befriend(jonas)
    for typing in (True, False):
        assert mara.line.ask("typing", {"receiverId": jonas.id, "isTyping": typing}) == {"ok": True}
        news = jonas.line.wait_for("display_typing", lambda news, typing=typing: news["isTyping"] is typing)
        assert news == {"userId": mara.id, "senderId": mara.id, "isTyping": typing}


def test_a_strangers_typing_reaches_nobody(mara: Person, jonas: Person) -> None:
    jonas.connect()
    assert mara.line.refused("typing", {"receiverId": jonas.id, "isTyping": True}) == "forbidden"
    jonas.line.settle()
    assert jonas.line.all("display_typing") == []


def test_a_login_tells_when_one_was_last_here(mara: Person) -> None:
    assert mara.server.login(mara.username).json()["lastSeen"] is None
    mara.connect()
    assert mara.server.login(mara.username).json()["isOnline"] is True
    mara.leave()
    assert wait_until(lambda: mara.server.login(mara.username).json()["lastSeen"], "the departure").endswith("Z")

"""Exchanging keys: they pass from one person to the other, with consent, and are kept nowhere."""

from __future__ import annotations

import json

import pytest

from tests.people import Person, Server
from tests.seals import KeyPair

NOBODY = "000000000000"


def ask_for(person: Person, key: KeyPair) -> dict[str, str]:
    """The payload of an ask."""
    return {"targetUserId": person.id, "publicKey": key.public}


def test_an_ask_reaches_every_tab_of_the_other_with_the_key_as_it_was_sent(mara: Person, jonas: Person) -> None:
    tabs = [jonas.connect(), jonas.connect()]
    key = KeyPair.fresh()
    assert mara.line.ask("request_key_exchange", ask_for(jonas, key)) == {"ok": True, "delivered": True}
    for tab in tabs:
        asked = tab.wait_for("key_exchange_request")
        assert asked == {"fromUserId": mara.id, "fromUsername": mara.username, "publicKey": key.public}


def test_members_other_clients_do_not_know_travel_along(mara: Person, jonas: Person) -> None:
    jonas.connect()
    announced = json.dumps(json.loads(KeyPair.fresh().public) | {"sotto": {"files": 2}})
    assert mara.line.ask("request_key_exchange", {"targetUserId": jonas.id, "publicKey": announced})["ok"]
    assert jonas.line.wait_for("key_exchange_request")["publicKey"] == announced


def test_consent_brings_the_others_key_and_closes_the_question_in_other_tabs(mara: Person, jonas: Person) -> None:
    here, elsewhere = jonas.connect(), jonas.connect()
    mine, theirs = KeyPair.fresh(), KeyPair.fresh()
    mara.line.ask("request_key_exchange", ask_for(jonas, mine))
    consent = {"targetUserId": mara.id, "publicKey": theirs.public, "accepted": True}
    assert here.ask("respond_key_exchange", consent) == {"ok": True, "delivered": True}
    answer = mara.line.wait_for("key_exchange_response")
    assert answer == {"fromUserId": jonas.id, "publicKey": theirs.public, "accepted": True}
    assert elsewhere.wait_for("key_exchange_handled") == {"userId": mara.id}
    here.settle()
    assert here.all("key_exchange_handled") == []


def test_a_refusal_carries_no_key_even_when_one_was_sent(mara: Person, jonas: Person) -> None:
    jonas.connect()
    mara.line.ask("request_key_exchange", ask_for(jonas, KeyPair.fresh()))
    refusal = {"targetUserId": mara.id, "publicKey": KeyPair.fresh().public, "accepted": False}
    assert jonas.line.ask("respond_key_exchange", refusal)["ok"]
    answer = mara.line.wait_for("key_exchange_response")
    assert answer == {"fromUserId": jonas.id, "publicKey": None, "accepted": False}
    assert mara.line.refused("typing", {"receiverId": jonas.id, "isTyping": True}) == "forbidden"


def test_nobody_can_answer_what_was_not_asked(mara: Person, jonas: Person) -> None:
    mara.connect()
    consent = {"targetUserId": mara.id, "publicKey": KeyPair.fresh().public, "accepted": True}
    assert jonas.line.refused("respond_key_exchange", consent) == "not_asked"
    mara.line.settle()
    assert mara.line.all("key_exchange_response") == []


def test_an_answer_counts_once(mara: Person, jonas: Person) -> None:
    mara.befriend(jonas)
    consent = {"targetUserId": mara.id, "publicKey": KeyPair.fresh().public, "accepted": True}
    assert jonas.line.refused("respond_key_exchange", consent) == "not_asked"


def test_consent_needs_a_key(mara: Person, jonas: Person) -> None:
    jonas.connect()
    mara.line.ask("request_key_exchange", ask_for(jonas, KeyPair.fresh()))
    consent = {"targetUserId": mara.id, "publicKey": None, "accepted": True}
    assert jonas.line.refused("respond_key_exchange", consent) == "validation"
    assert jonas.line.ask("respond_key_exchange", consent | {"publicKey": KeyPair.fresh().public})["ok"], "still open"


def test_an_ask_can_be_taken_back(mara: Person, jonas: Person) -> None:
    jonas.connect()
    mara.line.ask("request_key_exchange", ask_for(jonas, KeyPair.fresh()))
    assert mara.line.ask("cancel_key_exchange", {"targetUserId": jonas.id}) == {"ok": True}
    assert jonas.line.wait_for("key_exchange_cancelled") == {"fromUserId": mara.id}
    consent = {"targetUserId": mara.id, "publicKey": KeyPair.fresh().public, "accepted": True}
    assert jonas.line.refused("respond_key_exchange", consent) == "not_asked"


def test_taking_back_what_was_not_asked_disturbs_nobody(mara: Person, jonas: Person) -> None:
    jonas.connect()
    assert mara.line.ask("cancel_key_exchange", {"targetUserId": jonas.id})["ok"]
    jonas.line.settle()
    assert jonas.line.all("key_exchange_cancelled") == []


def test_both_may_ask_at_once_and_both_may_answer(mara: Person, jonas: Person) -> None:
    jonas.connect()
    mine, theirs = KeyPair.fresh(), KeyPair.fresh()
    assert mara.line.ask("request_key_exchange", ask_for(jonas, mine))["ok"]
    assert jonas.line.ask("request_key_exchange", ask_for(mara, theirs))["ok"]
    for one, other, key in ((mara, jonas, mine), (jonas, mara, theirs)):
        consent = {"targetUserId": other.id, "publicKey": key.public, "accepted": True}
        assert one.line.ask("respond_key_exchange", consent)["ok"]
        assert other.line.wait_for("key_exchange_response")["publicKey"] == key.public


def test_asking_who_is_away_says_so_and_may_be_repeated_when_they_are_back(mara: Person, jonas: Person) -> None:
    key = KeyPair.fresh()
    assert mara.line.ask("request_key_exchange", ask_for(jonas, key)) == {"ok": True, "delivered": False}
    jonas.connect()
    mara.line.wait_for("update_user_status", lambda news: news["userId"] == jonas.id and news["isOnline"])
    jonas.line.settle()
    assert jonas.line.all("key_exchange_request") == [], "the server kept no key to deliver"
    assert mara.line.ask("request_key_exchange", ask_for(jonas, key)) == {"ok": True, "delivered": True}
    assert jonas.line.wait_for("key_exchange_request")["publicKey"] == key.public


def test_nobody_exchanges_with_nobody_or_with_themselves(mara: Person) -> None:
    key = KeyPair.fresh().public
    assert mara.line.refused("request_key_exchange", {"targetUserId": NOBODY, "publicKey": key}) == "not_found"
    assert mara.line.refused("request_key_exchange", {"targetUserId": mara.id, "publicKey": key}) == "validation"
    gone = {"targetUserId": NOBODY, "publicKey": key, "accepted": True}
    assert mara.line.refused("respond_key_exchange", gone) == "not_found"


def test_open_asks_are_few(mara: Person, jonas: Person) -> None:
    asks = mara.server.database()["key_requests"]
    invented = [{"_id": f"{mara.id}:{n:012}", "asker": mara.id, "target": f"{n:012}"} for n in range(1, 21)]
    asks.insert_many(invented)
    payload = ask_for(jonas, KeyPair.fresh())
    assert mara.line.refused("request_key_exchange", payload) == "rate_limited"
    assert mara.line.ask("cancel_key_exchange", {"targetUserId": f"{1:012}"})["ok"]
    assert mara.line.ask("request_key_exchange", payload)["ok"]
    assert mara.line.ask("request_key_exchange", payload)["ok"], "the same ask again is no further one"


def jwk(**changes: object) -> str:
    """A good public key, changed."""
    return json.dumps(json.loads(KeyPair.fresh().public) | changes)


BAD_KEYS = {
    "no JSON": "-----BEGIN PUBLIC KEY-----",
    "no object": "[]",
    "empty": "",
    "off the curve": jwk(y=json.loads(KeyPair.fresh().public)["x"]),
    "zero": jwk(x="A" * 43, y="A" * 43),
    "beyond the prime": jwk(x="_" * 43),
    "another curve": jwk(crv="P-384"),
    "another type": jwk(kty="OKP"),
    "short coordinate": jwk(x="AAAA"),
    "padded coordinate": jwk(x="A" * 42 + "=="),
    "number for a coordinate": jwk(x=5),
    "no coordinate": jwk(y=None),
    "repeated member": KeyPair.fresh().public[:-1] + ', "x": "hidden"}',
    "8 KiB of company": jwk(more="m" * 8192),
    "deep": "[" * 5000,
}


@pytest.fixture(scope="module")
def strangers(server: Server) -> tuple[Person, Person]:
    """Two who have not exchanged keys, and will not."""
    one, other = Person(server), Person(server)
    other.connect()
    return one, other


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_what_is_no_p256_public_key_does_not_pass(strangers: tuple[Person, Person], key: str) -> None:
    one, other = strangers
    assert one.line.refused("request_key_exchange", {"targetUserId": other.id, "publicKey": key}) == "validation"
    other.line.settle()
    assert other.line.all("key_exchange_request") == []


@pytest.mark.parametrize("accepted", [True, False])
def test_a_private_key_is_refused_and_not_logged_and_not_passed_on(mara: Person, jonas: Person, accepted: bool) -> None:
    jonas.connect()
    key = KeyPair.fresh()
    sent = {"targetUserId": jonas.id, "publicKey": key.private}
    assert mara.line.refused("request_key_exchange", sent) == "private_key_refused"
    jonas.line.ask("request_key_exchange", ask_for(mara, KeyPair.fresh()))
    answer = sent | {"accepted": accepted}
    assert mara.line.refused("respond_key_exchange", answer) == "private_key_refused"
    jonas.line.settle()
    assert key.d not in "".join(jonas.line.frames + mara.line.frames)
    assert key.d not in mara.server.log.read_text()

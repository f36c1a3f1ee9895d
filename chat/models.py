"""What Sotto keeps: people, pairs of people with their conversation, ciphertext, invites, revoked tokens."""

from __future__ import annotations

from datetime import UTC, datetime

from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    Document,
    IntField,
    ListField,
    StringField,
)


def now() -> datetime:
    """The present in UTC with milliseconds, which is what MongoDB keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 UTC with milliseconds and `Z`, as every time on the wire; naive times are UTC."""
    if moment is None:
        return None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def conversation_id(one: str, other: str) -> str:
    """The id of the conversation between two people: both ids, the lower first."""
    return f"{min(one, other)}:{max(one, other)}"


# Indexes are made by migrations/, never by importing a model.
UNINDEXED = {"auto_create_index": False, "auto_create_index_on_save": False, "strict": False}


class User(Document):
    """A person: random 12-digit id, name, passphrase hash (argon2id)."""

    custom_id = StringField(primary_key=True)
    username = StringField(required=True)
    username_key = StringField(required=True)  # casefolded: names are unique without regard to case
    passphrase_hash = StringField(required=True)
    created_at = DateTimeField(default=now)
    last_seen = DateTimeField()
    meta = {"collection": "users", **UNINDEXED}


class Invite(Document):
    """A one-time invitation, kept as the SHA-256 of its code."""

    code_hash = StringField(primary_key=True)
    created_at = DateTimeField(default=now)
    expires_at = DateTimeField(required=True)
    meta = {"collection": "invites", **UNINDEXED}


class RevokedToken(Document):
    """A token that was logged out before its time; the TTL index forgets it when it would have expired."""

    jti = StringField(primary_key=True)
    expires_at = DateTimeField(required=True)
    meta = {"collection": "revoked_tokens", **UNINDEXED}


class Conversation(Document):
    """Two people: whether they exchanged keys (never a key), and where their messages and receipts stand."""

    pair = StringField(primary_key=True)
    members = ListField(StringField(), required=True)
    connected = BooleanField(default=False)
    last_seq = IntField(default=0)  # a hint: the truth is the newest message, at most a short range further
    delivered = DictField()  # {receiver id: seq}
    read = DictField()  # {receiver id: seq}
    meta = {"collection": "conversations", **UNINDEXED}


class KeyRequest(Document):
    """An open ask to exchange keys, without any key; forgotten after 7 days by a TTL index."""

    request = StringField(primary_key=True)  # "<asker>:<target>"
    asker = StringField(required=True)
    target = StringField(required=True)
    created_at = DateTimeField(default=now)
    meta = {"collection": "key_requests", **UNINDEXED}


class Message(Document):
    """One message: ciphertext and what is needed to bring it to its place."""

    message_id = StringField(primary_key=True)  # "<sender>:<clientId>", so that a repeat is the same document
    conversation = StringField(required=True)
    seq = IntField(required=True)
    sender = StringField(required=True)
    receiver = StringField(required=True)
    type = StringField(required=True)
    text = StringField(required=True)
    file_url = StringField()
    file_name = StringField()
    created_at = DateTimeField(required=True)
    meta = {"collection": "messages", **UNINDEXED}

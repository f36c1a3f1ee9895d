"""What Sotto accepts: one marshmallow schema for every body, query and socket payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validates_schema
from marshmallow.validate import Length, OneOf, Range, Regexp

from chat.envelope import check_envelope, check_public_key
from chat.errors import Refusal

PAGE = 50  # rows of history in one fragment
MAX_PAGE = 1000  # messages in one API answer
SEQ_MAX = 2**53 - 1  # JavaScript's largest exact integer
MESSAGE_TYPES = ("text", "audio", "image", "video", "file")

CUSTOM_ID = Regexp(r"^[0-9]{12}\Z", error="An id has 12 digits.")
UUID = Regexp(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", error="Not a UUID.")


class Payload(Schema):
    """The root of all: fields nobody named are dropped (Press Freely sends some), strings are never coerced."""

    class Meta:
        """Unknown members are free on the wire and go no further."""

        unknown = EXCLUDE

    error_messages = {"type": "Expected an object."}

    @validates_schema
    def encodable(self, data: dict[str, Any], **_: Any) -> None:
        """JSON can spell half a surrogate pair, which no database and no hash can take."""
        for name, value in data.items():
            if isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as fault:
                    raise ValidationError("Not valid Unicode text.", name) from fault


def _id(**options: Any) -> fields.String:
    return fields.String(validate=CUSTOM_ID, **options)


def _seq(**options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=Range(0, SEQ_MAX), **options)


class Login(Payload):
    """The login form and `POST /api/auth/login`."""

    username = fields.String(
        required=True,
        validate=[
            Length(3, 30, error="Username must be between 3 and 30 characters"),
            Regexp(r"^[A-Za-z0-9_-]+\Z", error="Username may have letters, digits, _ and - only"),
        ],
        error_messages={"required": "Username must be between 3 and 30 characters"},
    )
    passphrase = fields.String(
        required=True,
        validate=[
            Length(min=8, error="Passphrase must be at least 8 characters"),
            Length(max=128, error="Passphrase must be at most 128 characters"),
        ],
        error_messages={"required": "Passphrase must be at least 8 characters"},
    )
    invite_code = fields.String(data_key="inviteCode", load_default="", validate=Length(max=64))

    @pre_load
    def trim(self, data: Any, **_: Any) -> Any:
        """Spaces around a username are a slip of the keyboard; around a passphrase they may be meant."""
        if isinstance(data, Mapping) and isinstance(data.get("username"), str):
            return {**data, "username": data["username"].strip()}
        return data


class ContactQuery(Payload):
    """The search form for a contact."""

    custom_id = _id(data_key="customId", required=True)

    @pre_load
    def trim(self, data: Any, **_: Any) -> Any:
        """Ids are copied with spaces around or between their groups."""
        if isinstance(data, Mapping) and isinstance(data.get("customId"), str):
            return {**data, "customId": re.sub(r"\s+", "", data["customId"])}
        return data


class HistoryQuery(Payload):
    """`GET /api/chat/messages`; numbers come as text in a query."""

    user1 = _id(required=True)
    user2 = _id(required=True)
    before = fields.Integer(validate=Range(0, SEQ_MAX), load_default=None)
    after = fields.Integer(validate=Range(0, SEQ_MAX), load_default=None)
    limit = fields.Integer(validate=Range(1, MAX_PAGE), load_default=MAX_PAGE)


class HistoryPage(Payload):
    """The htmx fragment of older rows."""

    before = fields.Integer(validate=Range(0, SEQ_MAX), load_default=None)


class Envelope(Payload):
    """`PUT /api/chat/messages/<_id>`: a new ciphertext."""

    text = fields.String(required=True)

    @validates_schema
    def sealed(self, data: dict[str, Any], **_: Any) -> None:
        """Plaintext never gets past this door."""
        check_envelope(data["text"])


class UserConnected(Payload):
    """`user_connected`: an id alone, or with the cursors a deduplicating client has reached."""

    custom_id = _id(data_key="customId", required=True)
    sync = fields.Dict(keys=_id(), values=_seq(), load_default=None, validate=Length(max=5000))

    @pre_load
    def bare(self, data: Any, **_: Any) -> Any:
        """Press Freely sends the id as a bare string."""
        return {"customId": data} if isinstance(data, str) else data


class _WithKey(Payload):
    target = _id(data_key="targetUserId", required=True)
    public_key = fields.String(data_key="publicKey", load_default=None, allow_none=True)

    @validates_schema
    def on_the_curve(self, data: dict[str, Any], **_: Any) -> None:
        """Whatever is offered as a public key must be one, and nothing more."""
        if data["public_key"] is not None:
            check_public_key(data["public_key"])


class RequestKeyExchange(_WithKey):
    """`request_key_exchange`."""

    public_key = fields.String(data_key="publicKey", required=True)


class RespondKeyExchange(_WithKey):
    """`respond_key_exchange`: a key when accepted, none when not."""

    accepted = fields.Boolean(required=True, truthy={True}, falsy={False})

    @validates_schema
    def key_if_accepted(self, data: dict[str, Any], **_: Any) -> None:
        """Consent without a key would leave the asker waiting for ever."""
        if data["accepted"] and data["public_key"] is None:
            raise ValidationError("An accepted exchange needs a publicKey.", "publicKey")


class CancelKeyExchange(Payload):
    """`cancel_key_exchange`."""

    target = _id(data_key="targetUserId", required=True)


class SendMessage(Payload):
    """`send_message`."""

    sender = _id(data_key="senderId", load_default=None, allow_none=True)
    receiver = _id(data_key="receiverId", required=True)
    text = fields.String(load_default="")
    type = fields.String(load_default="text", validate=OneOf(MESSAGE_TYPES, error="type must be one of {choices}."))
    file_url = fields.String(data_key="fileUrl", load_default=None, allow_none=True, validate=Length(max=2048))
    file_name = fields.String(data_key="fileName", load_default=None, allow_none=True, validate=Length(max=255))
    client_id = fields.String(data_key="clientId", load_default=None, allow_none=True, validate=UUID)

    @validates_schema
    def sealed(self, data: dict[str, Any], **_: Any) -> None:
        """Text, of a message or a caption, is ciphertext; only a file may come without any."""
        if data["type"] == "text" or data["text"]:
            check_envelope(data["text"])
        if data["type"] != "text" and not data["file_url"]:
            raise ValidationError("A message of this type needs a fileUrl.", "fileUrl")


class Receipt(Payload):
    """`message_received`, `message_read`."""

    sender = _id(data_key="senderId", required=True)
    up_to_seq = _seq(data_key="upToSeq", required=True)


class Typing(Payload):
    """`typing`."""

    receiver = _id(data_key="receiverId", required=True)
    is_typing = fields.Boolean(data_key="isTyping", required=True, truthy={True}, falsy={False})


class _Signal(Payload):
    call_id = fields.String(data_key="callId", load_default=None, allow_none=True, validate=Length(max=64))


class CallUser(_Signal):
    """`call_user`; signals are the clients' own: sealed between Sotto clients, of any shape from others."""

    callee = _id(data_key="userToCall", required=True)
    signal = fields.Raw(data_key="signalData", required=True, allow_none=False)


class AnswerCall(_Signal):
    """`answer_call`."""

    to = _id(required=True)
    signal = fields.Raw(required=True, allow_none=False)


class IceCandidate(_Signal):
    """`ice_candidate`; None tells the end of candidates."""

    target = _id(required=True)
    candidate = fields.Raw(required=True, allow_none=True)


class EndCall(_Signal):
    """`end_call`; one that names no call ends the one that is open."""

    to = _id(required=True)
    reason = fields.String(load_default=None, allow_none=True, validate=Length(max=64))


def parse(schema: type[Payload], data: Any) -> dict[str, Any]:
    """What `schema` makes of `data`; raises marshmallow.ValidationError or Refusal."""
    parsed: dict[str, Any] = _ready(schema).load(data)
    return parsed


@cache
def _ready(schema: type[Payload]) -> Payload:
    # Making one copies all its fields, at several times the cost of a load; loading changes nothing in it.
    return schema()


def parse_id(custom_id: str) -> str:
    """A 12-digit id from a URL, or a refusal (`validation`)."""
    if not re.fullmatch(r"[0-9]{12}", custom_id):
        raise Refusal("validation", "An id has 12 digits.", errors={"customId": "An id has 12 digits."})
    return custom_id

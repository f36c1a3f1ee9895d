"""The JSON API of the wire contract: people and history."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from flask_jwt_extended import get_jwt_identity, jwt_required

from chat import accounts, contacts, history
from chat.edge import origin
from chat.errors import Refusal
from chat.extensions import limiter
from chat.routes.body import json_body
from chat.schemas import Envelope, HistoryQuery, parse, parse_id

blueprint = Blueprint("api", __name__, url_prefix="/api/chat")


def lookup_limit() -> str:
    """The budget for searching ids, from the settings."""
    return str(current_app.config["LOOKUP_LIMIT"])


def history_limit() -> str:
    """The budget for reading history, from the settings."""
    return str(current_app.config["HISTORY_LIMIT"])


def account_key() -> str:
    """The rate-limit key of whoever is logged in."""
    return f"account:{get_jwt_identity()}"


def describe(me: str, custom_id: str) -> dict[str, Any]:
    """`{customId, username, isOnline}` of a person as `me` may see it."""
    user = accounts.find(parse_id(custom_id))
    online = current_app.extensions["sotto_presence"].is_online(custom_id)
    return {
        "customId": user.custom_id,
        "username": user.username,
        "isOnline": online and (me == custom_id or contacts.may_see(me, custom_id)),
    }


@blueprint.get("/user/<custom_id>")
@jwt_required()
@limiter.shared_limit(lookup_limit, scope="lookup", key_func=account_key)
def user(custom_id: str) -> Response:
    """A person by id."""
    return jsonify(describe(get_jwt_identity(), custom_id))


@blueprint.get("/messages")
@jwt_required()
@limiter.shared_limit(history_limit, scope="history", key_func=account_key)
def messages() -> Response:
    """A page of a conversation, oldest first, for one of its two members."""
    query = parse(HistoryQuery, request.args.to_dict())
    me, pair = get_jwt_identity(), (query["user1"], query["user2"])
    if me not in pair:
        raise Refusal("forbidden", "You can read your own conversations only.")
    other = pair[1] if pair[0] == me else pair[0]
    rows, _ = history.conversation_page(
        me, other, origin(), before=query["before"], after=query["after"], limit=query["limit"]
    )
    return jsonify(rows)


@blueprint.put("/messages/<message_id>")
@jwt_required()
def reseal(message_id: str) -> Response:
    """Replace the ciphertext of one's own message."""
    text = parse(Envelope, json_body())["text"]
    if len(text) > current_app.config["MAX_TEXT_KIB"] * 1024:
        raise Refusal("too_large", "The message is too long.")
    return jsonify(message=history.reseal(get_jwt_identity(), message_id, text, origin()))

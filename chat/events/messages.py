"""Messages, their receipts, and typing."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from flask import current_app

from chat import contacts, history, uploads
from chat.delivery import Delivery, Draft
from chat.edge import origin
from chat.errors import Refusal
from chat.events.door import deduplicating_room_of, on, room_of
from chat.models import iso
from chat.presence import Identity
from chat.schemas import Receipt, SendMessage, Typing
from chat.sockets import emit


def _send(me: Identity, sent: dict[str, Any]) -> dict[str, Any]:
    if sent.pop("sender") not in (None, me.custom_id):
        raise Refusal("forbidden", "senderId is not yours.")
    sent["client_id"] = sent["client_id"] or str(uuid.uuid4())  # without one, a repeat is a new message
    draft = Draft(sender=me.custom_id, **sent)
    delivery: Delivery = current_app.extensions["sotto_delivery"]
    if draft.file_url is not None:
        name = uploads.name_in(draft.file_url)
        delivery.check_receiver(draft)  # nothing is noted of what is refused
        uploads.refer(name, draft.message_id)
        draft = replace(draft, file_url=name)
    row, fresh = delivery.submit(draft)
    message = history.on_the_wire(row, origin())
    if fresh:
        emit("receive_message", message, to=room_of(row["receiver"]))
        emit("message_sent", message, to=room_of(me.custom_id), include_self=False)
    else:
        # The worker that stored it may have died before it told anybody: who deduplicates is told again.
        emit("receive_message", message, to=deduplicating_room_of(row["receiver"]))
    return {"id": row["_id"], "seq": row["seq"], "createdAt": iso(row["created_at"])}


def _acknowledge(me: Identity, sent: dict[str, Any], status: str) -> None:
    sender = sent["sender"]
    seq = history.acknowledge(me.custom_id, sender, sent["up_to_seq"], read=status == "read")
    if seq is not None:
        emit("message_status", {"userId": me.custom_id, "upToSeq": seq, "status": status}, to=room_of(sender))


def _received(me: Identity, sent: dict[str, Any]) -> None:
    _acknowledge(me, sent, "delivered")


def _read(me: Identity, sent: dict[str, Any]) -> None:
    _acknowledge(me, sent, "read")


def _typing(me: Identity, sent: dict[str, Any]) -> None:
    if not contacts.are_connected(me.custom_id, sent["receiver"]):
        raise Refusal("forbidden", "Exchange keys first.")
    news = {"userId": me.custom_id, "senderId": me.custom_id, "isTyping": sent["is_typing"]}
    emit("display_typing", news, to=room_of(sent["receiver"]))


def register() -> None:
    """Bind the events of messages."""
    on("send_message", SendMessage)(_send)
    on("message_received", Receipt)(_received)
    on("message_read", Receipt)(_read)
    on("typing", Typing)(_typing)

"""Key exchange: public keys pass through from one person to the other, and are never kept."""

from __future__ import annotations

from typing import Any

from chat import accounts, contacts
from chat.events.door import on, presence, room_of
from chat.presence import Identity
from chat.schemas import CancelKeyExchange, RequestKeyExchange, RespondKeyExchange
from chat.sockets import emit


def _request(me: Identity, sent: dict[str, Any]) -> dict[str, Any]:
    target = sent["target"]
    contacts.ask(me.custom_id, target)
    request = {"fromUserId": me.custom_id, "fromUsername": me.username, "publicKey": sent["public_key"]}
    emit("key_exchange_request", request, to=room_of(target))
    online = presence().is_online(target)
    emit("update_user_status", {"userId": target, "isOnline": online, "lastSeen": None}, to=room_of(me.custom_id))
    return {"delivered": online}


def _respond(me: Identity, sent: dict[str, Any]) -> dict[str, Any]:
    asker, accepted = sent["target"], sent["accepted"]
    accounts.find(asker)
    contacts.respond(me.custom_id, asker, accepted)
    response = {
        "fromUserId": me.custom_id,
        "publicKey": sent["public_key"] if accepted else None,
        "accepted": accepted,
    }
    emit("key_exchange_response", response, to=room_of(asker))
    emit("key_exchange_handled", {"userId": asker}, to=room_of(me.custom_id), include_self=False)
    online = presence().is_online(asker)
    if accepted:  # from now on each may see the other's presence
        for one, other in ((me.custom_id, asker), (asker, me.custom_id)):
            here = presence().is_online(other)
            emit("update_user_status", {"userId": other, "isOnline": here, "lastSeen": None}, to=room_of(one))
    return {"delivered": online}


def _cancel(me: Identity, sent: dict[str, Any]) -> None:
    if not contacts.cancel(me.custom_id, sent["target"]):
        return
    emit("key_exchange_cancelled", {"fromUserId": me.custom_id}, to=room_of(sent["target"]))


def register() -> None:
    """Bind the events of the exchange."""
    on("request_key_exchange", RequestKeyExchange)(_request)
    on("respond_key_exchange", RespondKeyExchange)(_respond)
    on("cancel_key_exchange", CancelKeyExchange)(_cancel)

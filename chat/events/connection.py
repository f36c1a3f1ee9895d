"""Connecting: identity from the token, presence to those concerned, and what was missed."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Flask, current_app, request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from flask_socketio import ConnectionRefusedError as ConnectionRefused
from flask_socketio import join_room
from jwt.exceptions import PyJWTError

from chat import accounts, contacts, history, metrics
from chat.edge import origin
from chat.errors import Refusal, as_refusal
from chat.events.calls import on_socket_closed
from chat.events.door import deduplicating_room_of, on, presence, refuse_unknown, room_of
from chat.extensions import socketio
from chat.models import User, iso, now
from chat.presence import Identity, Presence
from chat.schemas import UserConnected
from chat.sockets import NAMESPACE, caller, emit, end_line, is_open

log = logging.getLogger("sotto")

EXPIRY_SWEEP_S = 15
# What one sync brings at most, but for the last conversation; a client asks again for the others.
SYNC_BYTES = 8 << 20


def _token_of(auth: Any) -> str:
    sent = auth.get("token") if isinstance(auth, dict) else None
    token = sent or request.cookies.get(current_app.config["JWT_ACCESS_COOKIE_NAME"])
    if not token:
        raise ConnectionRefused("Authentication error: No token provided")
    if not isinstance(token, str):
        raise ConnectionRefused("Authentication error: Invalid token")
    return token.removeprefix("Bearer ")


def _identity_of(token: str) -> Identity:
    try:
        claims = decode_token(token)
    except (PyJWTError, JWTExtendedException, ValueError, KeyError) as fault:
        raise ConnectionRefused("Authentication error: Invalid token") from fault
    if claims.get("type") != "access" or accounts.is_revoked(claims["jti"]) or not accounts.exists(claims["sub"]):
        raise ConnectionRefused("Authentication error: Invalid token")
    return Identity(claims["sub"], claims["username"], claims["jti"], claims["exp"])


def _status(custom_id: str, online: bool, last_seen: Any) -> dict[str, Any]:
    return {"userId": custom_id, "isOnline": online, "lastSeen": iso(last_seen)}


def _announce(custom_id: str, online: bool) -> None:
    """Tell those who may know that this person came or went."""
    status = _status(custom_id, online, now())
    for watcher in contacts.watchers_of(custom_id):
        socketio.emit("update_user_status", status, to=room_of(watcher))


def went_offline(custom_id: str) -> None:
    """Note and tell that somebody's last socket is gone."""
    User.objects(custom_id=custom_id).update_one(set__last_seen=now())
    _announce(custom_id, False)


def announce_again(app: Flask, people: list[str]) -> None:
    """Tell that these are here, whom others may take for gone."""
    with app.app_context():
        for custom_id in people:
            if presence().is_online(custom_id):
                _announce(custom_id, True)


def _show_contacts(me: Identity) -> None:
    """Tell the new socket who of its contacts is here."""
    watched = contacts.watched_by(me.custom_id)
    online = presence().online_among(watched)
    for user in User.objects(custom_id__in=watched).only("custom_id", "last_seen"):
        emit("update_user_status", _status(user.custom_id, user.custom_id in online, user.last_seen))


def connect(auth: Any = None) -> None:
    """Admit a socket whose token is good; what keeps Sotto from it is said, and the client comes again."""
    try:
        _admit(auth)
    except Exception as fault:
        presence().leave(caller())
        metrics.SOCKETS.set(len(presence()))
        if isinstance(fault, ConnectionRefused):
            raise
        refusal = as_refusal(fault)
        raise ConnectionRefused(refusal.message, refusal.body()) from fault


def _admit(auth: Any) -> None:
    """Let a socket in: its room, presence and contacts are settled before anything else."""
    me = _identity_of(_token_of(auth))
    if presence().sockets_of(me.custom_id) >= current_app.config["SOCKETS_PER_PERSON"]:
        raise Refusal("rate_limited", "Sotto is open in too many tabs. Close some of them.")
    join_room(room_of(me.custom_id))
    if heart := current_app.extensions["sotto_heart"]:
        heart.start()
    first = presence().enter(caller(), me)
    metrics.SOCKETS.set(len(presence()))
    if accounts.is_revoked(me.jti):  # logged out between the check above and the entry: nobody would close it
        raise ConnectionRefused("Authentication error: Invalid token")
    _show_contacts(me)
    if not is_open(caller()):  # it went while the database was asked, and nobody would note that any more
        raise ConnectionRefused("The line is gone.")
    if first:
        _announce(me.custom_id, True)


def disconnect(*_: Any) -> None:
    """Forget a socket; the last one of a person takes them offline."""
    me, last = presence().leave(caller())
    metrics.SOCKETS.set(len(presence()))
    on_socket_closed(current_app._get_current_object(), caller())  # type: ignore[attr-defined]
    if me is not None and last:
        went_offline(me.custom_id)


def _user_connected(me: Identity, sent: dict[str, Any]) -> dict[str, Any]:
    if sent["custom_id"] != me.custom_id:
        raise Refusal("forbidden", "This is not your id.")
    if sent["sync"] is None:
        return {}
    socketio.server.enter_room(caller(), deduplicating_room_of(me.custom_id))
    standing: dict[str, dict[str, int]] = {}
    void_after = current_app.extensions["sotto_delivery"].void_after
    size, more = 0, False
    for news in history.missed(me.custom_id, sent["sync"], void_after):
        if size > SYNC_BYTES:
            return {"standing": standing, "more": True}
        more = more or news.more
        size += sum(len(row["text"]) for row in news.rows)
        for row in news.rows:
            incoming = row["receiver"] == me.custom_id
            emit("receive_message" if incoming else "message_sent", history.on_the_wire(row, origin()))
        standing[news.contact] = {
            "upToSeq": news.up_to,
            "lastSeq": news.last_seq,
            "delivered": news.delivered.get(news.contact, 0),
            "read": news.read.get(news.contact, 0),
            "readByMe": news.read.get(me.custom_id, 0),
        }
    return {"standing": standing, "more": True} if more else {"standing": standing}


def _end_sockets(sids: list[str]) -> None:
    for sid in sids:
        socketio.emit("logged_out", to=sid)
        socketio.server.disconnect(sid)


def _sweep_expired(app: Flask) -> None:
    """For ever: end the sockets whose tokens ran out or were revoked elsewhere; an idle one sends nothing."""
    here: Presence = app.extensions["sotto_presence"]
    while True:
        socketio.sleep(EXPIRY_SWEEP_S)
        try:
            _end_sockets(here.expired(time.time()))
            for jti in accounts.revoked_among(here.token_ids()):
                _end_sockets(here.sockets_of_token(jti))
        except Exception:
            log.exception("expiry sweep")


def _sweep_strangers() -> None:
    """For ever: end the lines that were opened and told nobody's token; only whoever logged in may stay."""
    server = socketio.server
    known: set[str] = set()
    while True:
        socketio.sleep(EXPIRY_SWEEP_S)
        nameless = {sid for sid in list(server.eio.sockets) if not server.manager.sid_from_eio_sid(sid, NAMESPACE)}
        for sid in nameless & known:
            end_line(sid)
        known = nameless - known


def register(app: Flask) -> None:
    """Bind the connection's events and the end of tokens."""

    def end_token(jti: str) -> None:
        _end_sockets(app.extensions["sotto_presence"].sockets_of_token(jti))

    accounts.token_revoked.connect(end_token, weak=False)
    socketio.on_event("connect", connect)
    socketio.on_event("disconnect", disconnect)
    socketio.on("*")(refuse_unknown)
    on("user_connected", UserConnected)(_user_connected)
    socketio.start_background_task(_sweep_expired, app)
    socketio.start_background_task(_sweep_strangers)

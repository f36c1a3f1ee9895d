"""Calls: the signals of two people's browsers pass through, between those two alone."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app

from chat import contacts
from chat.calls import GRACE_S, Calls
from chat.errors import Refusal
from chat.events.door import on, presence, room_of
from chat.extensions import socketio
from chat.presence import Identity
from chat.schemas import AnswerCall, CallUser, EndCall, IceCandidate
from chat.sockets import caller, emit


def _calls() -> Calls:
    found: Calls = current_app.extensions["sotto_calls"]
    return found


def _holder(app: Flask, sid: str) -> str:
    """A socket as the ledger of calls names it: with its worker, so that all know when it is gone."""
    return f"{app.extensions['sotto_worker']}/{sid}"


def _mine() -> str:
    return _holder(current_app, caller())


def _call_user(me: Identity, sent: dict[str, Any]) -> dict[str, Any]:
    callee = sent["callee"]
    if not contacts.are_connected(me.custom_id, callee):
        raise Refusal("forbidden", "Exchange keys first.")
    if not presence().is_online(callee):
        return {"delivered": False}
    _calls().open(me.custom_id, callee, _mine(), sent["call_id"])
    call = {"from": me.custom_id, "signal": sent["signal"], "callId": sent["call_id"]}
    emit("incoming_call", call, to=room_of(callee))
    return {"delivered": True}


def _answer_call(me: Identity, sent: dict[str, Any]) -> None:
    _calls().signal(me.custom_id, sent["to"], _mine())
    emit("call_handled", {"userId": sent["to"]}, to=room_of(me.custom_id), include_self=False)
    # Two arguments: clients that know one argument read the bare signal.
    emit("call_accepted", (sent["signal"], {"from": me.custom_id, "callId": sent["call_id"]}), to=room_of(sent["to"]))


def _ice_candidate(me: Identity, sent: dict[str, Any]) -> None:
    _calls().signal(me.custom_id, sent["target"], _mine())
    news = (sent["candidate"], {"from": me.custom_id, "callId": sent["call_id"]})
    emit("receive_ice_candidate", news, to=room_of(sent["target"]))


def _end_call(me: Identity, sent: dict[str, Any]) -> None:
    if not _calls().end(me.custom_id, sent["to"], _mine(), sent["call_id"]):
        raise Refusal("not_asked", "This call is no longer open.")
    news = {"from": me.custom_id, "reason": sent["reason"], "callId": sent["call_id"]}
    emit("call_ended", news, to=room_of(sent["to"]))
    emit("call_handled", {"userId": sent["to"]}, to=room_of(me.custom_id), include_self=False)


def _give_up(app: Flask, person: str, other: str) -> None:
    socketio.sleep(GRACE_S)
    if app.extensions["sotto_calls"].give_up(person, other):
        socketio.emit("call_ended", {"from": person, "reason": "gone"}, to=room_of(other))


def on_socket_closed(app: Flask, sid: str) -> None:
    """Give up the calls this socket held, unless their person comes back for them."""
    for person, other in app.extensions["sotto_calls"].socket_closed(_holder(app, sid)):
        socketio.start_background_task(_give_up, app, person, other)


def give_up_lost_calls(app: Flask) -> None:
    """The same for sockets that closed while Redis did not answer."""
    for person, other in app.extensions["sotto_calls"].say_again():
        socketio.start_background_task(_give_up, app, person, other)


def register() -> None:
    """Bind the events of calls."""
    on("call_user", CallUser, kind="signal")(_call_user)
    on("answer_call", AnswerCall, kind="signal")(_answer_call)
    on("ice_candidate", IceCandidate, kind="signal")(_ice_candidate)
    on("end_call", EndCall, kind="signal")(_end_call)

"""Calls: who is in one with whom; nobody else may answer, signal or end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from chat.errors import Refusal
from chat.models import conversation_id

# The clients stop ringing after 45 s; a call nobody answered or ended is forgotten a little later.
UNANSWERED_S = 60
# A line that drops for a moment (a tunnel, another network) comes back with a new socket within this time.
GRACE_S = 20


@dataclass
class Call:
    """One call between two people.

    `holders` maps a person to the socket that holds it, once there is one; `names` to what they called it in an offer.
    """

    caller: str
    callee: str
    began: float
    holders: dict[str, str] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether the callee holds it."""
        return self.callee in self.holders

    def other(self, person: str) -> str:
        """The other one of the two."""
        return self.callee if person == self.caller else self.caller


Change = Callable[[Call | None], Call | None]


class Ledger:
    """The open calls, by the ids of their two people; changed one at a time."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._lock = Lock()

    def change(self, pair: str, change: Change) -> bool:
        """Put what `change` makes of a call (None: there is none) in its place; what it raises changes nothing.

        False when that was noted by this worker alone, and is to be said again.
        """
        with self._lock:
            call = change(self._calls.get(pair))
            if call is None:
                self._calls.pop(pair, None)
            else:
                self._calls[pair] = call
        return True


class Calls:
    """Who may signal in which call; `clock` in seconds, `is_gone` tells that a socket died with its worker."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        ledger: Ledger | None = None,
        is_gone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._clock = clock
        self._ledger = ledger or Ledger()
        self._is_gone = is_gone
        self._held: dict[str, set[tuple[str, str]]] = {}
        self._unsaid: list[str] = []

    def _open(self, call: Call | None) -> Call | None:
        if call and not call.answered and self._clock() - call.began > UNANSWERED_S:
            return None
        return call

    def _hold(self, call: Call, person: str, socket: str) -> Call:
        """Let `socket` hold the call for `person`; raises when another socket that is still there does."""
        holder = call.holders.get(person)
        if holder not in (None, socket) and person not in call.lost and not self._is_gone(str(holder)):
            raise Refusal("not_asked", "This call is open in another tab.")
        call.holders[person] = socket
        call.lost.pop(person, None)
        self._held.setdefault(socket, set()).add((person, call.other(person)))
        return call

    def open(self, caller: str, callee: str, socket: str, name: str | None = None) -> None:
        """Begin a call, or offer anew in one that is open (an ICE restart, or both called at once)."""

        def change(call: Call | None) -> Call:
            call = self._hold(self._open(call) or Call(caller, callee, self._clock()), caller, socket)
            if name:
                call.names[caller] = name
            return call

        self._ledger.change(conversation_id(caller, callee), change)

    def signal(self, person: str, other: str, socket: str) -> None:
        """Let `person` answer or signal; raises Refusal not_asked."""

        def change(call: Call | None) -> Call:
            call = self._open(call)
            if call is None:
                raise Refusal("not_asked", "This call is no longer open.")
            return self._hold(call, person, socket)

        self._ledger.change(conversation_id(person, other), change)

    def end(self, person: str, other: str, socket: str, name: str | None = None) -> bool:
        """End a call, or decline it; False when there was none of this name, or another tab of this person holds it."""
        ended = False

        def change(call: Call | None) -> Call | None:
            nonlocal ended
            call = self._open(call)
            holder = call.holders.get(person, socket) if call else ""
            ended = call is not None and (holder == socket or self._is_gone(holder))
            if ended and call and name and call.names and name not in call.names.values():
                ended = False  # an earlier call of these two, which crossed a new one
            return None if ended else call

        self._ledger.change(conversation_id(person, other), change)
        return ended

    def socket_closed(self, socket: str) -> list[tuple[str, str]]:
        """Note that a socket is gone: (person, other) of the calls it held, to be given up after GRACE_S."""
        gone: list[tuple[str, str]] = []

        def lose(call: Call | None, person: str, other: str) -> Call | None:
            if call and call.holders.get(person) == socket:
                call.lost[person] = self._clock()
                gone.append((person, other))
            return call

        held = self._held.pop(socket, set())
        said = {
            (person, other)
            for person, other in held
            if self._ledger.change(conversation_id(person, other), partial(lose, person=person, other=other))
        }
        if unsaid := held - said:
            self._held[socket] = unsaid
            self._unsaid.append(socket)
        return gone

    def say_again(self) -> list[tuple[str, str]]:
        """Note once more that sockets are gone that nobody else could be told of; as `socket_closed`."""
        sockets, self._unsaid = self._unsaid, []
        return [lost for socket in sockets for lost in self.socket_closed(socket)]

    def give_up(self, person: str, other: str) -> bool:
        """End a call that `person` lost GRACE_S ago and did not take up again; whether it did end."""
        ended = False

        def change(call: Call | None) -> Call | None:
            nonlocal ended
            lost = call.lost.get(person) if call else None
            ended = lost is not None and self._clock() - lost >= GRACE_S
            return None if ended else call

        self._ledger.change(conversation_id(person, other), change)
        return ended

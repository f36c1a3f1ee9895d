"""Calls: who is in one with whom; nobody else may answer, signal or end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from chat.errors import Refusal

# The clients stop ringing after 45 s; a call nobody answered or ended is forgotten a little later.
UNANSWERED_S = 60
# A line that drops for a moment (a tunnel, another network) comes back with a new socket within this time.
GRACE_S = 20


@dataclass
class Call:
    """One call between two people; `holders` maps a person to the socket that holds it, once there is one."""

    caller: str
    callee: str
    began: float
    holders: dict[str, str] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether the callee holds it."""
        return self.callee in self.holders

    def other(self, person: str) -> str:
        """The other one of the two."""
        return self.callee if person == self.caller else self.caller


class Calls:
    """The open calls of this process; `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls: dict[frozenset[str], Call] = {}
        self._lock = Lock()
        self._clock = clock

    def _find(self, one: str, other: str) -> Call | None:
        call = self._calls.get(frozenset((one, other)))
        if call and not call.answered and self._clock() - call.began > UNANSWERED_S:
            del self._calls[frozenset((one, other))]
            return None
        return call

    def _hold(self, call: Call, person: str, socket: str) -> None:
        """Let `socket` hold the call for `person`; raises when another socket that is still there does."""
        holder = call.holders.get(person)
        if holder not in (None, socket) and person not in call.lost:
            raise Refusal("not_asked", "This call is open in another tab.")
        call.holders[person] = socket
        call.lost.pop(person, None)

    def open(self, caller: str, callee: str, socket: str) -> None:
        """Begin a call, or offer anew in one that is open (an ICE restart, or both called at once)."""
        with self._lock:
            call = self._find(caller, callee)
            if call is None:
                call = Call(caller, callee, self._clock())
                self._calls[frozenset((caller, callee))] = call
            self._hold(call, caller, socket)

    def signal(self, person: str, other: str, socket: str) -> None:
        """Let `person` answer or signal; raises Refusal not_asked."""
        with self._lock:
            call = self._find(person, other)
            if call is None:
                raise Refusal("not_asked", "This call is no longer open.")
            self._hold(call, person, socket)

    def end(self, person: str, other: str, socket: str) -> bool:
        """End a call, or decline it; False when there was none, or another tab of this person holds it."""
        with self._lock:
            call = self._find(person, other)
            if call is None or call.holders.get(person, socket) != socket:
                return False
            del self._calls[frozenset((person, other))]
            return True

    def socket_closed(self, socket: str) -> list[tuple[str, str]]:
        """Note that a socket is gone: (person, other) of the calls it held, to be given up after GRACE_S."""
        with self._lock:
            gone = []
            for call in self._calls.values():
                for person, holder in call.holders.items():
                    if holder == socket:
                        call.lost[person] = self._clock()
                        gone.append((person, call.other(person)))
            return gone

    def give_up(self, person: str, other: str) -> bool:
        """End a call that `person` lost GRACE_S ago and did not take up again; whether it did end."""
        with self._lock:
            call = self._calls.get(frozenset((person, other)))
            lost = call.lost.get(person) if call else None
            if lost is None or self._clock() - lost < GRACE_S:
                return False
            del self._calls[frozenset((person, other))]
            return True

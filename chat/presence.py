"""Who is here: the open sockets of this process, by person and by token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class Identity:
    """Who a socket belongs to, from its token: id, name, token id, expiry (s since the epoch)."""

    custom_id: str
    username: str
    jti: str
    expires_at: float


class Presence:
    """The sockets that are open now. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._sockets: dict[str, Identity] = {}
        self._people: dict[str, set[str]] = {}
        self._lock = Lock()

    def enter(self, sid: str, identity: Identity) -> bool:
        """Add a socket; True when its person was not here before."""
        with self._lock:
            self._sockets[sid] = identity
            sids = self._people.setdefault(identity.custom_id, set())
            sids.add(sid)
            return len(sids) == 1

    def leave(self, sid: str) -> tuple[Identity | None, bool]:
        """Remove a socket: whose it was (None if unknown), and whether it was that person's last."""
        with self._lock:
            identity = self._sockets.pop(sid, None)
            if identity is None:
                return None, False
            sids = self._people[identity.custom_id]
            sids.discard(sid)
            if sids:
                return identity, False
            del self._people[identity.custom_id]
            return identity, True

    def sockets_of(self, custom_id: str) -> int:
        """How many sockets this person has open at this worker."""
        return len(self._people.get(custom_id, ()))

    def who(self, sid: str) -> Identity | None:
        """Whose socket this is."""
        return self._sockets.get(sid)

    def is_online(self, custom_id: str) -> bool:
        """Whether this person has an open socket."""
        return custom_id in self._people

    def online_among(self, people: Iterable[str]) -> set[str]:
        """Those of `people` who have an open socket."""
        return {custom_id for custom_id in people if self.is_online(custom_id)}

    def sockets_of_token(self, jti: str) -> list[str]:
        """The sockets that were opened with this token."""
        with self._lock:
            return [sid for sid, identity in self._sockets.items() if identity.jti == jti]

    def expired(self, at: float) -> list[str]:
        """The sockets whose token has run out at `at`, in seconds since the epoch."""
        with self._lock:
            return [sid for sid, identity in self._sockets.items() if identity.expires_at <= at]

    def __len__(self) -> int:
        return len(self._sockets)

    def token_ids(self) -> set[str]:
        """The ids of the tokens that open sockets came with."""
        with self._lock:
            return {identity.jti for identity in self._sockets.values()}

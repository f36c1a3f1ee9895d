"""Who is here, of all workers: each keeps its own sockets, and Redis at which workers a person has any.

In Redis: `sotto:at:<person>`, the workers where somebody is; `sotto:people:<worker>`, who is there, so that the people
of a worker that died can be found; `sotto:token:<jti>`, the sockets that end with a token. While Redis does not answer,
a worker knows its own people alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from chat.presence import Identity, Presence
from chat.shared import RedisError, Shared

log = logging.getLogger("sotto.presence")

RESTORED_AT_ONCE = 500


def _at(custom_id: str) -> str:
    return f"sotto:at:{custom_id}"


def _token(jti: str) -> str:
    return f"sotto:token:{jti}"


def _people(worker: str) -> str:
    return f"sotto:people:{worker}"


class SharedPresence(Presence):
    """The presence of one worker among several; `worker` is its id."""

    def __init__(self, shared: Shared, worker: str) -> None:
        super().__init__()
        self._shared = shared
        self._worker = worker
        self._unsaid: set[str] = set()

    def enter(self, sid: str, identity: Identity) -> bool:
        """Add a socket; True when its person was at no worker before."""
        first = super().enter(sid, identity)
        pipeline: Any = self._shared.pipeline()
        pipeline.sadd(_token(identity.jti), sid).expireat(_token(identity.jti), int(identity.expires_at))
        self._come(pipeline, [identity.custom_id]).scard(_at(identity.custom_id))
        try:
            return int(pipeline.execute()[-1]) == 1 and first
        except RedisError as fault:
            return self._alone(fault, first)

    def leave(self, sid: str) -> tuple[Identity | None, bool]:
        """Remove a socket: whose it was (None if unknown), and whether it was that person's last at any worker."""
        identity, last = super().leave(sid)
        if identity is None:
            return None, False
        try:
            self._shared.srem(_token(identity.jti), sid)
            return identity, last and self._go(identity.custom_id, self._worker)
        except RedisError as fault:
            self._unsaid.add(identity.custom_id)
            return identity, self._alone(fault, last)

    def is_online(self, custom_id: str) -> bool:
        """Whether this person has an open socket at any worker."""
        return bool(self.online_among([custom_id]))

    def online_among(self, people: Iterable[str]) -> set[str]:
        """Those of `people` who have an open socket at any worker."""
        asked = list(people)
        here = {custom_id for custom_id in asked if super(SharedPresence, self).is_online(custom_id)}
        elsewhere = [custom_id for custom_id in asked if custom_id not in here]
        if not elsewhere:
            return here
        pipeline = self._shared.pipeline(transaction=False)
        for custom_id in elsewhere:
            pipeline.exists(_at(custom_id))
        try:
            return here | {custom_id for custom_id, there in zip(elsewhere, pipeline.execute(), strict=True) if there}
        except RedisError as fault:
            self._alone(fault, True)
            return here

    def sockets_of_token(self, jti: str) -> list[str]:
        """The sockets that were opened with this token, at any worker."""
        sids = set(super().sockets_of_token(jti))
        try:
            sids.update(map(str, self._shared.smembers(_token(jti))))
        except RedisError as fault:
            self._alone(fault, True)
        return list(sids)

    def restore(self) -> list[str]:
        """Tell Redis anew who is here, after it lost its memory or took this worker for dead. Raises RedisError.

        Those it did not know to be anywhere: who watches them may have been told that they are gone.
        """
        with self._lock:
            people = list(self._people)
        unknown = []
        for start in range(0, len(people), RESTORED_AT_ONCE):
            some = people[start : start + RESTORED_AT_ONCE]
            added = self._come(self._shared.pipeline(), some).execute()
            unknown += [custom_id for custom_id, is_new in zip(some, added, strict=False) if is_new]
        return unknown

    def say_again(self) -> list[str]:
        """Take those out who left while Redis did not answer; who is at no worker any more. Raises RedisError."""
        gone = []
        for custom_id in list(self._unsaid):
            if not super().is_online(custom_id) and self._go(custom_id, self._worker):
                gone.append(custom_id)
            self._unsaid.discard(custom_id)
        return gone

    def bury(self, worker: str) -> list[str]:
        """Take the people of a worker that died offline; those who are at no other. Raises RedisError."""
        people = map(str, self._shared.smembers(_people(worker)))
        gone = [custom_id for custom_id in people if self._go(custom_id, worker)]
        self._shared.delete(_people(worker))
        return gone

    def _come(self, pipeline: Any, people: list[str]) -> Any:
        for custom_id in people:
            pipeline.sadd(_at(custom_id), self._worker)
        return pipeline.sadd(_people(self._worker), *people)

    def _go(self, custom_id: str, worker: str) -> bool:
        pipeline: Any = self._shared.pipeline()
        pipeline.srem(_at(custom_id), worker).srem(_people(worker), custom_id).scard(_at(custom_id))
        removed, _, left = pipeline.execute()
        return bool(removed) and not left

    @staticmethod
    def _alone(fault: RedisError, answer: bool) -> bool:
        log.warning("presence of this worker only: %s", type(fault).__name__)
        return answer

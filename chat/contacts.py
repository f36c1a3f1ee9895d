"""Who asked whom to exchange keys and who agreed; the server remembers the pair, never a key."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from chat import accounts
from chat.errors import Refusal
from chat.models import Conversation, KeyRequest, conversation_id, now

# An open ask lets its asker see when its target is online, so nobody may have many of them.
MAX_OPEN_ASKS = 20
CACHED_PAIRS = 20_000


class _ConnectedPairs:
    """The pairs known to be connected, most recently used last; pairs never disconnect, so it cannot go stale."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, pair: str) -> bool:
        with self._lock:
            if pair not in self._pairs:
                return False
            self._pairs.move_to_end(pair)
            return True

    def add(self, pair: str) -> None:
        with self._lock:
            self._pairs[pair] = None
            if len(self._pairs) > CACHED_PAIRS:
                self._pairs.popitem(last=False)


connected_pairs = _ConnectedPairs()


def ask(asker: str, target: str) -> None:
    """Open an ask; asking twice is one ask. Raises Refusal validation, not_found, rate_limited."""
    if asker == target:
        raise Refusal("validation", "You cannot exchange keys with yourself.", errors={"targetUserId": "It is you."})
    if not accounts.exists(target):
        raise Refusal("not_found", "User not found.")
    request = f"{asker}:{target}"
    if KeyRequest.objects(asker=asker, request__ne=request).count() >= MAX_OPEN_ASKS:
        raise Refusal(
            "rate_limited", f"You have {MAX_OPEN_ASKS} key exchanges waiting. Take one back first.", retry_after=60
        )
    KeyRequest.objects(request=request).update_one(
        set__asker=asker, set__target=target, set__created_at=now(), upsert=True
    )


def cancel(asker: str, target: str) -> bool:
    """Take an ask back; False when there was none."""
    return bool(KeyRequest.objects(request=f"{asker}:{target}").delete())


def respond(responder: str, asker: str, accepted: bool) -> None:
    """Close the ask of `asker`; accepted, the two are a pair from now on. Raises Refusal not_asked."""
    if not KeyRequest.objects(request=f"{asker}:{responder}").delete():
        raise Refusal("not_asked", "This key exchange is no longer open.")
    if accepted:
        Conversation.objects(pair=conversation_id(asker, responder)).update_one(
            set__members=sorted((asker, responder)), set__connected=True, upsert=True
        )


def are_connected(one: str, other: str) -> bool:
    """Whether these two have exchanged keys."""
    pair = conversation_id(one, other)
    if pair in connected_pairs:
        return True
    if Conversation.objects(pair=pair, connected=True).only("pair").first() is None:
        return False
    connected_pairs.add(pair)
    return True


def _partners(person: str) -> set[str]:
    found: set[str] = set()
    for conversation in Conversation.objects(members=person, connected=True).only("members"):
        found.update(conversation.members)
    return found - {person}


def watched_by(person: str) -> set[str]:
    """The ids whose presence `person` may see: those it exchanged keys with, and those it has asked."""
    return _partners(person) | {ask.target for ask in KeyRequest.objects(asker=person).only("target")}


def watchers_of(person: str) -> set[str]:
    """The ids that may see the presence of `person`: the other side of `watched_by`."""
    return _partners(person) | {ask.asker for ask in KeyRequest.objects(target=person).only("asker")}


def may_see(person: str, target: str) -> bool:
    """Whether `person` may see the presence of `target`."""
    return are_connected(person, target) or KeyRequest.objects(request=f"{person}:{target}").first() is not None

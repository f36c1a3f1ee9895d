"""The numbers of messages: one after the other in each conversation, whichever worker takes the next.

They come from memory, where the highest one given is remembered; with several workers that memory is Redis. Whatever
it says, the unique index (conversation, seq) decides: a number that is taken already is refused there, and the
conversation's place is read from the database anew.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

from chat.shared import RedisError, Shared

log = logging.getLogger("sotto.numbers")

REMEMBERED = 100_000
# Conversations that sleep for a day are forgotten; the database knows where they stand.
SHARED_FOR_S = 24 * 3600

# Gives out ARGV[1] numbers of the conversation KEYS[1] and answers the last one; -1 when its place is not known.
TAKE = """
if redis.call("EXISTS", KEYS[1]) == 0 then return -1 end
local last = redis.call("INCRBY", KEYS[1], ARGV[1])
redis.call("EXPIRE", KEYS[1], ARGV[2])
return last
"""

Seed = Callable[[str], int]


class Numbers:
    """Gives out numbers from this process' memory."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()

    def take(self, wanted: dict[str, int], seed: Seed) -> dict[str, int]:
        """The first of `wanted[conversation]` numbers for each; `seed` reads a conversation's highest one (slowly)."""
        first: dict[str, int] = {}
        for pair, count in wanted.items():
            if pair not in self._last:
                self._last[pair] = seed(pair)
            first[pair] = self._last[pair] + 1
            self._last[pair] += count
            self._last.move_to_end(pair)
        while len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return first

    def forget(self, pairs: Iterable[str]) -> None:
        """Read the place of these conversations anew before the next number."""
        for pair in pairs:
            self._last.pop(pair, None)


class SharedNumbers(Numbers):
    """Gives out numbers from Redis; while it does not answer, from what the database says at each take."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared
        self._take = shared.register_script(TAKE)

    def take(self, wanted: dict[str, int], seed: Seed) -> dict[str, int]:
        """As `Numbers.take`."""
        try:
            last = self._ask(wanted)
            unknown = [pair for pair, number in last.items() if number < 0]
            if unknown:
                pipeline = self._shared.pipeline()
                for pair in unknown:
                    pipeline.set(_key(pair), seed(pair), nx=True, ex=SHARED_FOR_S)
                pipeline.execute()
                last |= self._ask({pair: wanted[pair] for pair in unknown})
            if min(last.values(), default=0) >= 0:
                return {pair: number - wanted[pair] + 1 for pair, number in last.items()}
            log.warning("Redis forgot numbers it was just told")
        except RedisError as fault:
            log.warning("numbers from the database: %s", type(fault).__name__)
        super().forget(wanted)
        return super().take(wanted, seed)

    def forget(self, pairs: Iterable[str]) -> None:
        """Read the place of these conversations anew before the next number."""
        keys = [_key(pair) for pair in pairs]
        try:
            if keys:
                self._shared.delete(*keys)
        except RedisError as fault:
            log.warning("numbers not forgotten: %s", type(fault).__name__)

    def _ask(self, wanted: dict[str, int]) -> dict[str, int]:
        pipeline = self._shared.pipeline(transaction=False)
        for pair, count in wanted.items():
            self._take(keys=[_key(pair)], args=[count, SHARED_FOR_S], client=pipeline)
        return {pair: int(last) for pair, last in zip(wanted, pipeline.execute(), strict=True)}


def _key(pair: str) -> str:
    return f"sotto:seq:{pair}"

"""Socket.IO's way between workers: a channel of Redis, written by one line that gathers, and heard by another."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

from redis.exceptions import RedisError
from socketio import PubSubManager

from chat import shared

# After a failure Redis is left alone for a moment: a thousand events would each wait for it in vain.
PAUSE_S = 1.0
CHANNEL = "sotto:events"
# Far below what Redis lets wait for a listener (8 MB), and enough for any burst.
GATHERED_CHARS = 256 * 1024
NAMESPACE = "/"
# While more than this wait for Redis, whoever brings another one waits, too.
WAITING = 10_000

log = logging.getLogger("sotto.bus")


class Bus(PubSubManager):  # type: ignore[misc]
    """Passes events on in the order they came, as many at once as wait, and notes when some may have got lost."""

    name = "sotto"

    def __init__(self, url: str) -> None:
        super().__init__(channel=CHANNEL, logger=log)
        self._telling = shared.connect(url)
        self._hearing = shared.listen_to(url)
        self._outgoing: queue.Queue[str] = queue.Queue(WAITING)
        self._starting = Lock()
        self._teller: Any = None
        self._lines = 0
        self._down_until = 0.0
        self._lost = False

    def take_loss(self) -> bool:
        """Whether events between workers may have got lost since the last call."""
        lost, self._lost = self._lost, False
        return lost

    def _publish(self, data: dict[str, Any]) -> None:
        with self._starting:
            if self._teller is None:
                self._teller = self.server.start_background_task(self._tell_for_ever)
        # Neither JSON nor the name of a room has a line break in it.
        self._outgoing.put(f"{data.get('room') or ''}\n{self.json.dumps(data)}")

    def _gather(self) -> str:
        """What waits, about GATHERED_CHARS of it: who tells it, then lines in turn: a room, an event for it."""
        group = [self.host_id, self._outgoing.get()]
        size = len(group[-1])
        while size < GATHERED_CHARS:
            try:
                group.append(self._outgoing.get_nowait())
            except queue.Empty:
                break
            size += len(group[-1])
        return "\n".join(group)

    def _tell_for_ever(self) -> None:
        while True:
            group = self._gather()
            if time.monotonic() < self._down_until or not (self._tell(group) or self._tell(group)):
                self._lost = True

    def _tell(self, group: str) -> bool:
        """One attempt; a second one may tell it again, which every client bears."""
        try:
            self._telling.publish(self.channel, group)
        except RedisError as fault:
            log.warning("not told to other workers: %s", type(fault).__name__)
            self._down_until = time.monotonic() + PAUSE_S
            return False
        self._down_until = 0.0
        return True

    def _listen(self) -> Iterator[str]:
        while True:
            line: Any = self._hearing.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            try:
                line.subscribe(self.channel)
                self._lines += 1
                self._lost = self._lost or self._lines > 1
                for message in line.listen():
                    yield from self._concerning(message["data"])
            except (RedisError, OSError) as fault:
                log.warning("nothing is heard from other workers: %s", type(fault).__name__)
            finally:
                line.close()
            self.server.sleep(PAUSE_S)

    def _concerning(self, group: str) -> Iterator[str]:
        """The events of a group that sockets of this worker may get; those for others, the most, are not even read."""
        teller, *lines = group.split("\n")
        if teller == self.host_id:
            return
        here = self.rooms.get(NAMESPACE, {})
        for room, event in zip(lines[::2], lines[1::2], strict=True):
            if not room or room in here:
                yield event

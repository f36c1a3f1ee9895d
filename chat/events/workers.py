"""The worker among others: its heartbeat, the people of those that died, and what got lost on the way between them."""

from __future__ import annotations

import logging
from threading import Lock

from flask import Flask

from chat.bus import Bus
from chat.events.calls import give_up_lost_calls
from chat.events.connection import announce_again, went_offline
from chat.extensions import socketio
from chat.shared import RedisError, Workers
from chat.shared_presence import SharedPresence

log = logging.getLogger("sotto.workers")

BEAT_S = 3.0
# Three beats may get lost before the others take a worker for dead.
LIFE_S = 12.0


class Heart:
    """The heartbeat of this worker."""

    def __init__(self, app: Flask) -> None:
        self._workers: Workers = app.extensions["sotto_workers"]
        self._presence: SharedPresence = app.extensions["sotto_presence"]
        self._bus: Bus = app.extensions["sotto_bus"]
        self._app = app
        self._beats = False
        self._lock = Lock()

    def start(self) -> None:
        """Beat from now on; a process that only runs a command has no sockets, and never begins."""
        with self._lock:
            if not self._beats:
                self._beats = True
                socketio.start_background_task(self._beat_for_ever)

    def _beat_for_ever(self) -> None:
        with self._app.app_context():
            while True:
                try:
                    self._beat()
                except RedisError as fault:
                    log.warning("no heartbeat: %s", type(fault).__name__)
                except Exception:
                    log.exception("heartbeat")
                socketio.sleep(BEAT_S)

    def _beat(self) -> None:
        if self._workers.beat() and (back := self._presence.restore()):
            socketio.start_background_task(announce_again, self._app, back)
        for custom_id in self._presence.say_again():
            went_offline(custom_id)
        give_up_lost_calls(self._app)
        dead = self._workers.bury()
        for worker in dead:
            for custom_id in self._presence.bury(worker):
                went_offline(custom_id)
        if self._bus.take_loss() or dead:
            # What was told meanwhile, or what the dead had stored and not told yet, did not reach the other workers:
            # everybody asks for what they missed.
            socketio.emit("sync_again")

"""The socket edge: one file per conversation of events."""

from flask import Flask

from chat.events import calls, connection, keys, messages
from chat.events.door import Doorkeeper
from chat.events.workers import Heart


def register_events(app: Flask) -> None:
    """Bind every handler and give the socket edge its doorkeeper."""
    app.extensions["sotto_doorkeeper"] = Doorkeeper(app.config)
    app.extensions["sotto_heart"] = Heart(app) if app.extensions["sotto_workers"] else None
    connection.register(app)
    keys.register()
    messages.register()
    calls.register()

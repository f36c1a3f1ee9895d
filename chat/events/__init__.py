"""The socket edge: one file per conversation of events."""

from flask import Flask

from chat.events import calls, connection, keys, messages
from chat.events.door import Doorkeeper


def register_events(app: Flask) -> None:
    """Bind every handler and give the socket edge its doorkeeper."""
    app.extensions["sotto_doorkeeper"] = Doorkeeper(app.config)
    connection.register(app)
    keys.register()
    messages.register()
    calls.register()

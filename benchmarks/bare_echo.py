"""What Sotto's relay is compared with: Flask-SocketIO on eventlet with its default settings and one handler.

Run: gunicorn -k eventlet -w 1 benchmarks.bare_echo:app
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("typing")
def typing(news: dict[str, Any]) -> None:
    """Pass the news on to the socket it names."""
    emit("display_typing", news, to=news["receiverId"])

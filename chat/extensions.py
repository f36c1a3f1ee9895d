"""The Flask extensions, unbound; create_app() binds them."""

from __future__ import annotations

import json
from typing import Any

from flask_compress import Compress
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_socketio import SocketIO

# What a frame that is not JSON is read as: an event of this name, answered like any other bad input.
MALFORMED = "malformed"


class FrameJSON:
    """The JSON of socket frames: refuses in words where the standard module would raise through the transport."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Compact JSON; `separators` and the like from the caller are ignored."""
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        """The value; broken or too deeply nested text reads as the event MALFORMED."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return [MALFORMED]


socketio = SocketIO()
jwt = JWTManager()
limiter = Limiter(key_func=get_remote_address)
compress = Compress()

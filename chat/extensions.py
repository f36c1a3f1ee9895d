"""The Flask extensions, unbound; create_app() binds them."""

from __future__ import annotations

from flask_compress import Compress
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from chat.sockets import socketio

__all__ = ["compress", "jwt", "limiter", "socketio"]

jwt = JWTManager()
limiter = Limiter(key_func=get_remote_address)
compress = Compress()

"""Sotto: end-to-end encrypted chat. create_app() is the only place where its parts are wired together."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import mongoengine
from dotenv import load_dotenv
from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from chat import cli, embedded_db, errors, frames, settings, shared, uploads
from chat.accounts import Accounts
from chat.assets import Assets
from chat.bus import Bus
from chat.calls import Calls
from chat.delivery import Delivery
from chat.events import register_events
from chat.events.workers import LIFE_S
from chat.extensions import compress, jwt, limiter, socketio
from chat.numbers import Numbers, SharedNumbers
from chat.presence import Presence
from chat.routes import register_routes
from chat.shared_calls import SharedLedger
from chat.shared_presence import SharedPresence

HOUSE = Path(__file__).resolve().parent.parent


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The application, from `environ` (default: .env and the process environment); raises SettingsFault."""
    if environ is None:
        load_dotenv(HOUSE / ".env")
        environ = os.environ
    values = settings.read(environ)
    instance = Path(values["INSTANCE_PATH"] or HOUSE / "instance").resolve()
    values["SECRET_KEY"] = values["SECRET_KEY"] or settings.development_secret(instance)
    values["MONGODB_URI"] = values["MONGODB_URI"] or embedded_db.ensure_running(instance)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("sotto").setLevel(values["LOG_LEVEL"])

    app = Flask(
        __name__,
        instance_path=str(instance),
        template_folder=str(HOUSE / "templates"),
        static_folder=None,  # chat/assets.py serves static/
    )
    app.config.update(values | _flask_settings(values))
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _connect_database(values["MONGODB_URI"], values["COMMIT_TIMEOUT_S"])
    cli.migrate_if_embedded(values, environ)

    app.extensions["sotto_accounts"] = Accounts(values["REGISTRATION"], values["SOTTO_ASYNC_MODE"])
    app.extensions |= _shared_parts(values) if values["REDIS_URL"] else _own_parts()
    app.extensions["sotto_delivery"] = Delivery(
        values["COMMIT_BATCH"], values["COMMIT_QUEUE"], values["COMMIT_TIMEOUT_S"], app.extensions["sotto_numbers"]
    )
    assets = Assets(HOUSE / "static")
    assets.register(app)
    app.extensions["sotto_assets"] = assets

    jwt.init_app(app)
    limiter.init_app(app)
    compress.init_app(app)
    CORS(
        app, origins=list(values["CORS_ORIGINS"]), resources=r"/api/*", allow_headers=["Authorization", "Content-Type"]
    )
    errors.register(app)
    register_routes(app)
    _bind_socketio(app)
    register_events(app)
    cli.register(app)
    socketio.start_background_task(uploads.sweep_for_ever, socketio.sleep)
    if values["TRUSTED_PROXIES"]:
        hops = values["TRUSTED_PROXIES"]
        # Outermost, so that the socket's Origin check sees the address people use, too.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops)  # type: ignore[method-assign]
    return app


def _own_parts() -> dict[str, Any]:
    """What the only worker keeps in its own memory."""
    return {
        "sotto_redis": None,
        "sotto_bus": None,
        "sotto_workers": None,
        "sotto_worker": "",
        "sotto_numbers": Numbers(),
        "sotto_presence": Presence(),
        "sotto_calls": Calls(),
    }


def _shared_parts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same, in the Redis that all workers share."""
    redis = shared.connect(values["REDIS_URL"])
    workers = shared.Workers(redis, LIFE_S)

    def is_gone(holder: str) -> bool:
        try:
            return not workers.lives(holder.partition("/")[0])
        except shared.RedisError:
            return False

    return {
        "sotto_redis": redis,
        "sotto_bus": Bus(values["REDIS_URL"]),
        "sotto_workers": workers,
        "sotto_worker": workers.id,
        "sotto_numbers": SharedNumbers(redis),
        "sotto_presence": SharedPresence(redis, workers.id),
        "sotto_calls": Calls(ledger=SharedLedger(redis), is_gone=is_gone),
    }


def _flask_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "MAX_CONTENT_LENGTH": values["MAX_PAYLOAD_KIB"] * 1024,
        "JWT_SECRET_KEY": values["SECRET_KEY"],
        "JWT_ALGORITHM": "HS256",
        "JWT_DECODE_ALGORITHMS": ["HS256"],
        "JWT_TOKEN_LOCATION": ["headers", "cookies"],
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(seconds=values["TOKEN_LIFETIME_S"]),
        "JWT_ENCODE_NBF": False,  # what it would say is in iat
        "JWT_ACCESS_COOKIE_NAME": "sotto_token",
        "JWT_ACCESS_CSRF_COOKIE_NAME": "sotto_csrf",
        "JWT_COOKIE_SAMESITE": "Strict",
        "JWT_SESSION_COOKIE": False,
        "JWT_COOKIE_SECURE": values["PUBLIC_URL"].startswith("https://"),
        "RATELIMIT_STORAGE_URI": values["REDIS_URL"] or "memory://",
        "RATELIMIT_STORAGE_OPTIONS": shared.storage_options(values["REDIS_URL"]),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": bool(values["REDIS_URL"]),
        "RATELIMIT_STRATEGY": "moving-window",
        "RATELIMIT_HEADERS_ENABLED": True,
        "COMPRESS_ALGORITHM": ["br", "gzip"],
        "COMPRESS_BR_LEVEL": 5,
        "COMPRESS_MIN_SIZE": 500,
        "COMPRESS_MIMETYPES": [
            "text/html",
            "text/css",
            "text/javascript",
            "application/json",
            "image/svg+xml",
        ],
    }


def _connect_database(uri: str, timeout_s: int) -> None:
    mongoengine.disconnect()
    mongoengine.connect(
        host=uri,
        tz_aware=True,
        uuidRepresentation="standard",
        # An acknowledgement means durable: on the disk of most of the replica set.
        w="majority",
        journal=True,
        serverSelectionTimeoutMS=3000,
        connectTimeoutMS=3000,
        # A database that hangs is told apart from a slow one by this alone: who waits for it is answered `busy`.
        timeoutMS=timeout_s * 1000,
    )


def _bind_socketio(app: Flask) -> None:
    values = app.config

    def is_allowed_origin(origin: str, environ: Mapping[str, str]) -> bool:
        if not origin:  # programs send none; browsers always do where it matters
            return True
        own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
        return origin in {own, values["PUBLIC_URL"].rstrip("/"), *values["CORS_ORIGINS"]}

    frames.harden_transport()
    socketio.init_app(
        app,
        async_mode=values["SOTTO_ASYNC_MODE"],
        client_manager=app.extensions["sotto_bus"],
        async_handlers=False,  # one socket's events are taken in the order they came
        manage_session=False,
        cors_allowed_origins=is_allowed_origin,
        max_http_buffer_size=values["MAX_TRANSPORT_BYTES"],
        serializer=frames.EventPacket,
        http_compression=False,
    )

"""Every setting Sotto has: its name, default, unit and meaning, read once from the environment."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from limits import parse_many

P = ParamSpec("P")
T = TypeVar("T")

# Below 32 characters an HS256 key can be searched offline from a single captured token (RFC 7518, 3.2).
MIN_SECRET_CHARS = 32
# Of 19. Less, and hashing passphrases delays messages; more, and a hash that is ready may wait for long with the GIL.
OFFLOADED_NICENESS = 10


class SettingsFault(RuntimeError):
    """A setting is missing or wrong; the message is one line for the operator."""


def _text(raw: str) -> str:
    return raw.strip()


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        value = raw.strip().lower()
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def _whole(least: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        value = int(raw)
        if value < least:
            raise ValueError(f"must be at least {least}")
        return value

    return parse


def _list(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def _rate(raw: str) -> str:
    try:
        parse_many(raw)  # a rate that cannot be read would be no limit at all
    except ValueError as fault:
        raise ValueError("must be a rate such as 10 per minute") from fault
    return raw.strip()


def _origins(raw: str) -> tuple[str, ...]:
    return tuple(part.rstrip("/") for part in _list(raw))


@dataclass(frozen=True)
class Setting:
    """One row of the table: environment name, default as text, unit, meaning, and how the text is read."""

    name: str
    default: str
    unit: str
    meaning: str
    parse: Callable[[str], Any] = _text


TABLE: tuple[Setting, ...] = (
    Setting(
        "SOTTO_ENV",
        "development",
        "development, production",
        "Production refuses to start without a database and a strong secret.",
        _one_of("development", "production"),
    ),
    Setting(
        "SOTTO_ASYNC_MODE",
        "threading",
        "threading, eventlet",
        "Set by deploy/gunicorn.conf.py; never needed by hand.",
        _one_of("threading", "eventlet"),
    ),
    Setting(
        "SECRET_KEY",
        "",
        f"at least {MIN_SECRET_CHARS} characters",
        "Signs the tokens. Required in production; in development made once and kept in instance/secret_key.",
    ),
    Setting(
        "MONGODB_URI",
        "",
        "mongodb:// URI with a database name",
        "Where users and ciphertext are kept. Empty in development: the embedded database under instance/db.",
    ),
    Setting(
        "REDIS_URL",
        "",
        "redis:// URL",
        "What several workers share: events, presence, limits, numbers. Empty: there is one worker.",
    ),
    Setting("INSTANCE_PATH", "", "path", "Folder of the embedded database and the made secret; empty: ./instance."),
    Setting(
        "REGISTRATION",
        "open",
        "open, invite, closed",
        "Who may create an account at the first login.",
        _one_of("open", "invite", "closed"),
    ),
    Setting("PUBLIC_URL", "", "URL", "The address people use, when it differs from the one requests arrive at."),
    Setting(
        "TRUSTED_PROXIES",
        "0",
        "proxies",
        "How many reverse proxies in front may set X-Forwarded-*; 0 trusts none.",
        _whole(0),
    ),
    Setting(
        "CORS_ORIGINS",
        "",
        "comma-separated origins",
        "Other web clients that may call the API and the socket.",
        _origins,
    ),
    Setting("TOKEN_LIFETIME_S", "604800", "seconds", "How long a login lasts.", _whole(1)),
    Setting("LOGIN_LIMIT_PER_IP", "30 per minute", "rate", "Login attempts from one address.", _rate),
    Setting(
        "LOGIN_LIMIT_PER_USERNAME",
        "10 per minute",
        "rate",
        "Failed logins for one username, from anywhere.",
        _rate,
    ),
    Setting("LOOKUP_LIMIT", "60 per minute", "rate", "Searches for a contact id by one account.", _rate),
    Setting("HISTORY_LIMIT", "240 per minute", "rate", "Pages of history read by one account.", _rate),
    Setting("SOCKETS_PER_PERSON", "50", "sockets", "Tabs and other clients of one account at one worker.", _whole(1)),
    Setting("EVENTS_PER_SECOND", "10", "events/s", "Socket events of one kind from one account.", _whole(1)),
    Setting("SIGNALS_PER_SECOND", "50", "events/s", "Call signalling events of one kind from one account.", _whole(1)),
    Setting("MAX_TEXT_KIB", "124", "KiB", "The largest `text` of a message.", _whole(1)),
    Setting("MAX_PAYLOAD_KIB", "160", "KiB", "The largest payload of a socket event or JSON body.", _whole(1)),
    Setting(
        "MAX_TRANSPORT_BYTES",
        "1000000",
        "bytes",
        "The largest socket frame; above it the line is cut.",
        _whole(1000),
    ),
    Setting("COMMIT_BATCH", "100", "messages", "The most messages written in one group commit.", _whole(1)),
    Setting("COMMIT_QUEUE", "2000", "messages", "Messages that may wait to be written; above it: busy.", _whole(1)),
    Setting(
        "COMMIT_TIMEOUT_S", "10", "seconds", "How long a write is tried before the sender is told busy.", _whole(1)
    ),
    Setting("MAX_UPLOAD_MB", "50", "MB", "The largest upload, as ciphertext.", _whole(1)),
    Setting("UPLOAD_QUOTA_MB", "1000", "MB a day", "Uploads of one account in 24 hours.", _whole(1)),
    Setting(
        "STUN_URLS", "", "comma-separated stun: URLs", "STUN servers for calls; empty: none is ever contacted.", _list
    ),
    Setting("TURN_URLS", "", "comma-separated turn: URLs", "TURN servers for calls, with TURN_SECRET.", _list),
    Setting(
        "TURN_SECRET", "", "secret", "Shared with coturn (static-auth-secret); clients get credentials made from it."
    ),
    Setting("TURN_LIFETIME_S", "86400", "seconds", "How long those credentials last.", _whole(60)),
    Setting("METRICS_TOKEN", "", "token", "Bearer token for /metrics from elsewhere than loopback; empty: none."),
    Setting(
        "LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING, ERROR",
        "How much is logged.",
        lambda raw: _one_of("debug", "info", "warning", "error")(raw).upper(),
    ),
)


def as_table() -> str:
    """TABLE in Markdown, as docs/settings.md shows it."""
    rows = [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.unit} | {row.meaning} |" for row in TABLE
    ]
    return "\n".join(("| name | default | unit or form | meaning |", "|---|---|---|---|", *rows))


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """Parse every setting of TABLE from `environ`; raise SettingsFault naming the first that is wrong."""
    values: dict[str, Any] = {}
    for setting in TABLE:
        raw = environ.get(setting.name, "")
        try:
            values[setting.name] = setting.parse(raw if raw.strip() else setting.default)
        except ValueError as fault:
            raise SettingsFault(f"{setting.name}: {fault} (got {raw!r}).") from fault
    if values["SOTTO_ENV"] == "production":
        _require_production(values)
    return values


def _require_production(values: Mapping[str, Any]) -> None:
    if not values["MONGODB_URI"]:
        raise SettingsFault("MONGODB_URI is not set: production needs a MongoDB and never starts the embedded one.")
    secret = values["SECRET_KEY"]
    if len(secret) < MIN_SECRET_CHARS or len(set(secret)) < 10:
        raise SettingsFault(
            f"SECRET_KEY is missing or weak: production needs {MIN_SECRET_CHARS} random characters or more,"
            ' e.g. from: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
        )


def development_secret(instance: Path) -> str:
    """The secret of this development instance (text), made at the first call and kept in `instance/secret_key`."""
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = instance / "secret_key"
    try:  # O_EXCL: of two processes that start at once, one writes and the other reads
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_text(encoding="ascii").strip()
        if len(kept) >= MIN_SECRET_CHARS:
            return kept
        path.unlink()  # a crash between create and write left it empty
        return development_secret(instance)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        secret = secrets.token_urlsafe(48)
        file.write(secret)
    return secret


def _in_the_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    if sys.platform == "linux":  # where a thread has a niceness of its own, and this one does nothing else
        os.setpriority(os.PRIO_PROCESS, 0, OFFLOADED_NICENESS)
    return work(*args, **kwargs)


def run_offloaded(async_mode: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of CPU-heavy `work`; under eventlet it runs in a native thread, after all that the hub has to do."""
    if async_mode != "eventlet":
        return work(*args, **kwargs)
    from eventlet import tpool

    result: T = tpool.execute(_in_the_background, work, *args, **kwargs)
    return result

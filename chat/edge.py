"""What both edges share: the origin under which people reach this server."""

from __future__ import annotations

from flask import current_app, request

from chat.sockets import event_origin


def origin() -> str:
    """`scheme://host[:port]` for absolute URLs: PUBLIC_URL, else that of whoever asks."""
    public: str = current_app.config["PUBLIC_URL"]
    return (public or event_origin() or request.host_url).rstrip("/")

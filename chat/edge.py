"""What both edges share: the origin under which people reach this server."""

from __future__ import annotations

from flask import current_app, request


def origin() -> str:
    """`scheme://host[:port]` for absolute URLs: PUBLIC_URL, else that of whoever asks."""
    public: str = current_app.config["PUBLIC_URL"]
    return (public or request.host_url).rstrip("/")

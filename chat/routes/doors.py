"""What every answer carries (security headers) and every token must pass (its refusals in Sotto's words)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app, redirect, request
from flask_jwt_extended.exceptions import CSRFError

from chat import accounts, metrics
from chat.errors import Refusal, answer
from chat.extensions import jwt

PARTS_OF_PAGES = {"text/javascript", "text/css"}
YEAR_S = 365 * 24 * 3600
PERMISSIONS = "microphone=(self), camera=(self), geolocation=(), payment=(), usb=(), browsing-topics=()"


def content_security_policy(import_map_hash: str) -> str:
    """The policy of every page: nothing inline but the import map, nothing from anybody else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {import_map_hash}",
            "style-src 'self'",
            "img-src 'self' blob:",
            "media-src 'self' blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types default dompurify",
        )
    )


def refuse_cross_site() -> None:
    """Refuse (`csrf`) a form that another site made this browser send; for forms that need no login yet."""
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none") or (
        origin not in (None, "null", request.host_url.rstrip("/"), current_app.config["PUBLIC_URL"].rstrip("/"))
    ):
        raise Refusal("csrf", "This form was sent from another site.")


def _unauthorized(*_: Any) -> Response:
    refusal = Refusal("unauthorized", "Please log in again.")
    if request.headers.get("HX-Request"):
        response = answer(refusal)
        response.headers["HX-Redirect"] = "/"
        return response
    if request.method == "GET" and not request.path.startswith("/api/"):
        return redirect("/")  # type: ignore[return-value]
    return answer(refusal)


def _harden(response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if response.cache_control.immutable and response.mimetype in PARTS_OF_PAGES:
        return response  # never a document of its own: the rest would only be weight, forty times over
    headers.setdefault(
        "Content-Security-Policy",
        content_security_policy(current_app.extensions["sotto_assets"].import_map_hash()),
    )
    headers["Referrer-Policy"] = "no-referrer"
    headers["Permissions-Policy"] = PERMISSIONS
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={YEAR_S}"
        cookies = headers.getlist("Set-Cookie")
        headers.remove("Set-Cookie")
        for cookie in cookies:
            headers.add("Set-Cookie", cookie if "; Secure" in cookie else f"{cookie}; Secure")
    if not request.path.startswith("/static/"):
        # Pages and ciphertext are nobody else's to keep.
        headers.setdefault("Cache-Control", "no-store")
    if response.status_code >= 400:
        metrics.REFUSALS.labels(str(response.status_code)).inc()
    return response


def register(app: Flask) -> None:
    """Bind the headers and the token callbacks."""
    app.after_request(_harden)
    jwt.unauthorized_loader(_unauthorized)
    jwt.invalid_token_loader(_unauthorized)
    jwt.expired_token_loader(_unauthorized)
    jwt.revoked_token_loader(_unauthorized)
    jwt.token_in_blocklist_loader(lambda _header, payload: accounts.is_revoked(payload["jti"]))
    app.errorhandler(CSRFError)(lambda _: answer(Refusal("csrf", "This page is out of date. Reload it and try again.")))

"""Signing in and out: the API of the wire contract, and the form of the login page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, make_response, redirect, render_template, request
from flask_jwt_extended import create_access_token, get_jwt, jwt_required, set_access_cookies, unset_jwt_cookies
from flask_limiter.errors import RateLimitExceeded
from marshmallow import ValidationError

from chat import accounts
from chat.errors import Refusal, answer, as_refusal, rate_limited
from chat.extensions import limiter
from chat.models import User, iso, now
from chat.routes.body import json_body
from chat.routes.doors import refuse_cross_site
from chat.schemas import Login, parse

CLOCK_LEEWAY = timedelta(minutes=10)

blueprint = Blueprint("auth", __name__)


def _per_ip() -> str:
    return str(current_app.config["LOGIN_LIMIT_PER_IP"])


def _per_username() -> str:
    return str(current_app.config["LOGIN_LIMIT_PER_USERNAME"])


def _username() -> str:
    """The rate-limit key of the name somebody tries, read as the views read it; never empty: that would be no limit."""
    try:
        sent = request.form if request.path == "/login" else request.get_json(force=True, silent=True)
    except RecursionError:
        sent = None
    name = sent.get("username") if isinstance(sent, Mapping) else None
    return f"username:{name.strip().casefold()[:30] if isinstance(name, str) else ''}"


def _limited(view: Callable[..., Any]) -> Callable[..., Any]:
    """Both doors share two budgets: attempts by address, and failures by username from wherever they come."""
    by_username = limiter.shared_limit(
        _per_username, scope="login-username", key_func=_username, deduct_when=lambda r: r.status_code == 401
    )
    by_ip = limiter.shared_limit(_per_ip, scope="login-ip")
    limited: Callable[..., Any] = by_ip(by_username(view))
    return limited


def _sign_in(sent: Any) -> tuple[User, bool, str]:
    login = parse(Login, sent)
    signer: accounts.Accounts = current_app.extensions["sotto_accounts"]
    user, is_new = signer.sign_in(login["username"], login["passphrase"], login["invite_code"])
    # A token from the future is refused: dated back, it outlives a clock that is set back, or another unit's that lags.
    claims = {"username": user.username, "iat": now() - CLOCK_LEEWAY}
    return user, is_new, create_access_token(user.custom_id, additional_claims=claims)


@blueprint.post("/api/auth/login")
@_limited
def api_login() -> Response:
    """Sign in, or up, for programs: the token is in the answer and no cookie is set."""
    user, is_new, token = _sign_in(json_body())
    return jsonify(
        customId=user.custom_id,
        username=user.username,
        isOnline=current_app.extensions["sotto_presence"].is_online(user.custom_id),
        lastSeen=iso(user.last_seen),
        token=token,
        isNew=is_new,
    )


@blueprint.post("/api/auth/logout")
@jwt_required()
def api_logout() -> tuple[str, int]:
    """End this token and its sockets."""
    accounts.revoke(get_jwt()["jti"], get_jwt()["exp"])
    return "", 204


def login_page(refusal: Refusal | None = None, *, status: int = 200) -> Response:
    """The login page, or its form alone for htmx, with what was refused beside the field."""
    fragment = bool(request.headers.get("HX-Request"))
    response = make_response(
        render_template(
            "partials/login_form.html" if fragment else "login.html",
            refusal=refusal,
            username=request.form.get("username", "")[:30],
            registration=current_app.config["REGISTRATION"],
        ),
        status,
    )
    if refusal and refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


@blueprint.post("/login")
@_limited
def form_login() -> Response:
    """Sign in, or up, for people: works with and without script; the token goes into a cookie."""
    refuse_cross_site()
    try:
        _, is_new, token = _sign_in(request.form.to_dict())
    except (Refusal, ValidationError) as fault:
        refusal = as_refusal(fault)
        return login_page(refusal, status=refusal.status)
    address = "/?welcome=1" if is_new else "/"
    response = make_response("", 204) if request.headers.get("HX-Request") else redirect(address, 303)
    response.headers["HX-Redirect"] = address
    set_access_cookies(response, token)  # type: ignore[arg-type]
    return response  # type: ignore[return-value]


@blueprint.errorhandler(RateLimitExceeded)
def too_many(fault: RateLimitExceeded) -> Response:
    """The form stays a form when its budget is spent; programs get JSON."""
    refusal = rate_limited(fault)
    return login_page(refusal, status=429) if request.path == "/login" else answer(refusal)


@blueprint.post("/logout")
@jwt_required()
def form_logout() -> Response:
    """End this token and its sockets, and forget the cookie."""
    accounts.revoke(get_jwt()["jti"], get_jwt()["exp"])
    response = make_response("", 204) if request.headers.get("HX-Request") else redirect("/", 303)
    response.headers["HX-Redirect"] = "/"
    unset_jwt_cookies(response)  # type: ignore[arg-type]
    return response  # type: ignore[return-value]

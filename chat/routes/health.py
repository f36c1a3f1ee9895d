"""For operators and their machines: alive, ready, measured."""

from __future__ import annotations

import hmac
import ipaddress

import mongoengine
from flask import Blueprint, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chat.errors import BUSY_RETRY_S, Refusal
from chat.shared import RedisError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """The database answers, and Redis where it is used; 503 `busy` when one does not."""
    mongoengine.get_db().command("ping")
    if redis := current_app.extensions["sotto_redis"]:
        try:
            redis.ping()
        except RedisError as fault:
            raise Refusal("busy", "Redis does not answer.", retry_after=BUSY_RETRY_S) from fault
    return jsonify(status="ok")


def _is_loopback() -> bool:
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text, for loopback or with METRICS_TOKEN as bearer token."""
    token = current_app.config["METRICS_TOKEN"]
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    # A proxy on this machine makes everybody look like loopback: what was forwarded needs the token.
    direct = _is_loopback() and "X-Forwarded-For" not in request.headers
    if not direct and not (token and hmac.compare_digest(sent.encode(), token.encode())):
        raise Refusal("forbidden", "Metrics are for loopback, or a token.")
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

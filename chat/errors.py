"""What Sotto says when it refuses: one exception, and the one place that turns it into an answer."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_limiter.errors import RateLimitExceeded
from marshmallow import ValidationError
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from chat.extensions import limiter

log = logging.getLogger("sotto")

# Seconds a client is asked to wait when the database does not answer; a failover takes about this long.
BUSY_RETRY_S = 2

STATUS_OF_CODE = {
    "validation": 400,
    "bad_request": 400,
    "private_key_refused": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "csrf": 403,
    "registration_closed": 403,
    "not_asked": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "unsupported": 415,
    "rate_limited": 429,
    "internal": 500,
    "busy": 503,
}
CODE_OF_STATUS = {status: code for code, status in reversed(STATUS_OF_CODE.items())} | {
    400: "bad_request",
    403: "forbidden",
}


class Refusal(Exception):
    """A refusal: `code` of STATUS_OF_CODE, `message` for a person, `errors` by field, `retry_after` in seconds."""

    def __init__(
        self, code: str, message: str, *, errors: dict[str, str] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return STATUS_OF_CODE[self.code]

    def body(self) -> dict[str, Any]:
        """The JSON shape: `{code, message, errors?, retryAfter?}`."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.errors:
            body["errors"] = self.errors
        if self.retry_after is not None:
            body["retryAfter"] = self.retry_after
        return body


def from_validation(fault: ValidationError) -> Refusal:
    """The refusal for a marshmallow fault: the first message is the sentence, `errors` holds one per field."""
    errors: dict[str, str] = {}
    messages: dict[str, Any] = fault.normalized_messages()  # type: ignore[no-untyped-call]
    for field, said in messages.items():
        first = said
        while isinstance(first, dict | list) and first:
            first = next(iter(first.values())) if isinstance(first, dict) else first[0]
        errors[str(field)] = str(first)
    return Refusal("validation", next(iter(errors.values()), "Invalid input."), errors=errors)


def as_refusal(fault: Exception) -> Refusal:
    """Any exception as a refusal; what nobody foresaw is logged and answered as `internal`, without detail."""
    if isinstance(fault, Refusal):
        return fault
    if isinstance(fault, ValidationError):
        return from_validation(fault)
    if isinstance(fault, PyMongoError):
        log.error("database: %s", type(fault).__name__)
        return Refusal("busy", "The server is busy. Please try again in a moment.", retry_after=BUSY_RETRY_S)
    if isinstance(fault, HTTPException):
        status = fault.code or 500
        # Werkzeug's own descriptions are for developers; people get the words of the status.
        return Refusal(CODE_OF_STATUS.get(status, "bad_request"), f"{fault.name}.")
    log.exception("unforeseen", exc_info=fault)
    return Refusal("internal", "Something went wrong on our side.")


def rate_limited(fault: RateLimitExceeded) -> Refusal:
    """The refusal for a spent budget; `retry_after` is when its oldest attempt is forgotten."""
    spent = limiter.current_limit
    wait = max(1, math.ceil(spent.reset_at - time.time())) if spent else fault.limit.limit.get_expiry()
    return Refusal("rate_limited", "Too many attempts. Please wait a moment and try again.", retry_after=wait)


def wants_json() -> bool:
    """Whether the caller is a program: the API, or anybody who prefers JSON over HTML."""
    if request.path.startswith(("/api/", "/uploads/", "/healthz", "/readyz", "/metrics")):
        return True
    accept = request.accept_mimetypes
    return bool(accept.accept_json) and accept["application/json"] > accept["text/html"]


def answer(refusal: Refusal, status: int | None = None) -> Response:
    """The HTTP answer to a refusal: JSON for programs, an alert for htmx, a page for people."""
    if wants_json():
        response = jsonify(refusal.body())
    elif request.headers.get("HX-Request"):
        response = make_response(render_template("partials/alert.html", refusal=refusal))
    else:
        response = make_response(render_template("error.html", refusal=refusal, status=status or refusal.status))
    response.status_code = status or refusal.status
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def register(app: Flask) -> None:
    """Send every exception of the HTTP edge through `answer`."""

    @app.errorhandler(Exception)
    def on_fault(fault: Exception) -> Response | HTTPException:
        if isinstance(fault, RateLimitExceeded):
            return answer(rate_limited(fault))
        if isinstance(fault, HTTPException):
            if fault.code is not None and fault.code < 400:
                return fault
            return answer(as_refusal(fault), fault.code)
        return answer(as_refusal(fault))

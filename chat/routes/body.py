"""Reading what a request brings, and refusing what cannot be read."""

from __future__ import annotations

from typing import Any

from flask import request

from chat.errors import Refusal


def json_body() -> Any:
    """The JSON of the request's body; raises Refusal bad_request when it is none (or is nested without end)."""
    try:
        return request.get_json(force=True)
    except RecursionError as fault:
        raise Refusal("bad_request", "The body is nested too deeply.") from fault

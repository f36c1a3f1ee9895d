"""Uploads and downloads of ciphertext, and the servers that carry calls."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from contextlib import ExitStack
from typing import IO, Any, cast

from flask import Blueprint, Response, current_app, jsonify, request
from flask_jwt_extended import get_jwt_identity, jwt_required
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import FileWrapper

from chat import uploads
from chat.edge import origin
from chat.errors import Refusal

blueprint = Blueprint("files", __name__)

MIB = 1 << 20
BLOCK_BYTES = 256 * 1024
# What multipart adds around a file: boundaries and the headers of a few parts.
FORM_BYTES = 16 * 1024
YEAR_S = 365 * 24 * 3600


def _drain(size: int, already: int = 0) -> None:
    """Read a refused body to its end (up to `size` bytes, `already` are read), so that the client reads the answer
    and not a cut line."""
    source: Any = request.environ["wsgi.input"]
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    left = size if is_chunked else min((request.content_length or 0) - already, size)
    while left > 0 and (block := source.read(min(left, BLOCK_BYTES))):
        left -= len(block)


def _sent_file(limit: int) -> FileStorage:
    """The one file of the form; raises Refusal too_large, validation."""
    try:
        sent = request.files.get("file")  # spooled to disk beyond half a megabyte, never all in memory
    except RequestEntityTooLarge as fault:
        _drain(limit, already=request.stream.tell())
        raise Refusal("too_large", "A form may have one file, and little beside it.") from fault
    if sent is None:
        raise Refusal("validation", "There is no file in the field `file`.", errors={"file": "Missing."})
    return sent


@blueprint.post("/api/upload")
@jwt_required()
def upload() -> Response:
    """Keep one sealed file, field `file` of a multipart form."""
    me, config = get_jwt_identity(), current_app.config
    limit = config["MAX_UPLOAD_MB"] * MIB
    request.max_content_length = limit + FORM_BYTES
    # Who does not say how much comes may send as much as anybody.
    declared = request.max_content_length if request.content_length is None else request.content_length
    with ExitStack() as place:
        try:
            if declared > request.max_content_length:
                raise Refusal("too_large", f"Files may have {config['MAX_UPLOAD_MB']} MB at most, encrypted.")
            name = place.enter_context(uploads.expected(me, declared, config["UPLOAD_QUOTA_MB"] * MIB))
        except Refusal:
            _drain(4 * limit)
            raise
        sent = _sent_file(limit)
        uploads.keep(name, me, sent.stream)
    return jsonify(fileUrl=f"{origin()}/uploads/{name}", fileName=sent.filename, mimeType=sent.mimetype)


@blueprint.get("/uploads/<name>")
def download(name: str) -> Response:
    """The ciphertext under an unguessable name; ranges are honoured, and it never changes."""
    file = uploads.open_stream(name)
    response = Response(
        FileWrapper(cast(IO[bytes], file), BLOCK_BYTES),
        mimetype="application/octet-stream",
        direct_passthrough=True,
    )
    response.content_length = file.length
    response.set_etag(name)
    response.cache_control.public = True
    response.cache_control.max_age = YEAR_S
    response.cache_control.immutable = True
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Content-Disposition"] = "attachment"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(request, accept_ranges=True, complete_length=file.length)
    return response


@blueprint.get("/api/ice")
@jwt_required()
def ice() -> Response:
    """`{iceServers, iceTransportPolicy}`; TURN credentials by coturn's REST scheme (HMAC-SHA-1 of expiry:account)."""
    config = current_app.config
    servers: list[dict[str, Any]] = []
    if config["STUN_URLS"]:
        servers.append({"urls": list(config["STUN_URLS"])})
    if config["TURN_URLS"] and config["TURN_SECRET"]:
        username = f"{int(time.time()) + config['TURN_LIFETIME_S']}:{get_jwt_identity()}"
        digest = hmac.new(config["TURN_SECRET"].encode(), username.encode(), hashlib.sha1).digest()
        credential = base64.b64encode(digest).decode()
        servers.append({"urls": list(config["TURN_URLS"]), "username": username, "credential": credential})
    return jsonify(iceServers=servers, iceTransportPolicy="all")

"""Pages and htmx fragments for people."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask_jwt_extended import get_jwt, get_jwt_identity, jwt_required, unset_jwt_cookies, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import PyJWTError

from chat import accounts, history
from chat.edge import origin
from chat.extensions import limiter
from chat.routes.api import account_key, describe, history_limit, lookup_limit
from chat.routes.auth import login_page
from chat.schemas import PAGE, ContactQuery, HistoryPage, parse, parse_id

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> Response:
    """The chat for whoever is logged in, the login page for everybody else."""
    try:
        logged_in = verify_jwt_in_request(optional=True) is not None
    except (JWTExtendedException, PyJWTError):  # expired, revoked or forged: start afresh
        response = login_page()
        unset_jwt_cookies(response)
        return response
    if not logged_in:
        return _knock() if request.headers.get("Sec-Fetch-Site") == "cross-site" else login_page()
    me = get_jwt_identity()
    return make_response(
        render_template(
            "chat.html",
            custom_id=me,
            username=get_jwt()["username"],
            welcome=request.args.get("welcome") == "1",
            is_known=history.has_any(me),
            max_upload_bytes=current_app.config["MAX_UPLOAD_MB"] << 20,
        )
    )


def _knock() -> Response:
    """A page that opens `/` anew: a SameSite=Strict cookie stays at home when a link from another site is followed."""
    return make_response(render_template("knock.html"))


@blueprint.get("/login")
def login() -> Response:
    """The address of the form is a page, too."""
    return login_page()


@blueprint.get("/fragments/contact")
@jwt_required()
@limiter.shared_limit(lookup_limit, scope="lookup", key_func=account_key)
def contact() -> str:
    """The result of a search for an id."""
    query = parse(ContactQuery, request.args.to_dict())
    me = get_jwt_identity()
    if query["custom_id"] == me:
        return render_template("partials/search_result.html", sentence="You cannot add yourself.")
    return render_template("partials/search_result.html", found=describe(me, query["custom_id"]))


@blueprint.get("/fragments/history/<contact_id>")
@jwt_required()
@limiter.shared_limit(history_limit, scope="history", key_func=account_key)
def history_rows(contact_id: str) -> str:
    """A page of a conversation as sealed rows, the newest or those before a seq, with the link to the page above."""
    before = parse(HistoryPage, request.args.to_dict())["before"]
    me = get_jwt_identity()
    accounts.find(parse_id(contact_id))
    rows, stands = history.conversation_page(me, contact_id, origin(), before=before, limit=PAGE)
    return render_template(
        "partials/history.html",
        rows=rows,
        me=me,
        contact_id=contact_id,
        earlier=rows[0]["seq"] if rows and rows[0]["seq"] > 1 else None,
        delivered=stands.delivered.get(contact_id, 0),
        read=stands.read.get(contact_id, 0),
    )


@blueprint.get("/fragments/my-id.svg")
@jwt_required()
def my_id_qr() -> Response:
    """My id as a QR code (SVG), for whoever sits beside me."""
    svg = io.BytesIO()
    segno.make(get_jwt_identity(), error="m").save(svg, kind="svg", border=2, scale=4, dark="#000", light="#fff")
    return Response(svg.getvalue(), mimetype="image/svg+xml")

"""What the server can know about ciphertext and public keys without a cipher: their shape."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from chat.errors import Refusal

# NIST P-256 (FIPS 186-5 / SP 800-186, 3.2.1.3): y² = x³ - 3x + b over the prime field p.
P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
COORDINATE_BYTES = 32
MAX_PUBLIC_KEY_CHARS = 8192

GCM_IV_BYTES = 12
GCM_TAG_BYTES = 16
NOT_ENCRYPTED = "Messages must be encrypted: text is not a ciphertext envelope."


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A repeated name would let plaintext ride along in the value that parsers drop.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_members_once)
    except (ValueError, RecursionError):
        return None


def _is_bytes(value: Any) -> bool:
    # type() and not isinstance(): JSON true is an int for Python, and not for the receiver.
    return isinstance(value, list) and all(type(item) is int and 0 <= item <= 255 for item in value)


def check_envelope(text: str) -> None:
    """Refuse (`validation`) a `text` that is not exactly `{"iv": [12 bytes], "content": [16 bytes or more]}`."""
    envelope = _parse(text)
    if (
        not isinstance(envelope, dict)
        or envelope.keys() != {"iv", "content"}
        or not _is_bytes(envelope["iv"])
        or not _is_bytes(envelope["content"])
        or len(envelope["iv"]) != GCM_IV_BYTES
        or len(envelope["content"]) < GCM_TAG_BYTES
    ):
        raise Refusal("validation", NOT_ENCRYPTED, errors={"text": NOT_ENCRYPTED})


def _coordinate(value: Any) -> int | None:
    if not isinstance(value, str) or len(value) != 43:  # 32 bytes in base64url without padding
        return None
    try:
        raw = base64.b64decode(value + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return int.from_bytes(raw) if len(raw) == COORDINATE_BYTES else None


def check_public_key(jwk: str) -> None:
    """Refuse a string that is not the JWK of a point on P-256; one with a private part as `private_key_refused`.

    Source of the shape: RFC 7518, 6.2.1. Members that JWK does not define are left to the clients.
    """
    refusal = Refusal("validation", "publicKey is not a P-256 public key.", errors={"publicKey": "Not a P-256 key."})
    if len(jwk) > MAX_PUBLIC_KEY_CHARS:
        raise refusal
    key = _parse(jwk)
    if not isinstance(key, dict):
        raise refusal
    if "d" in key:
        raise Refusal("private_key_refused", "This is a private key. It was not passed on. Never send it to anybody.")
    x, y = _coordinate(key.get("x")), _coordinate(key.get("y"))
    if key.get("kty") != "EC" or key.get("crv") != "P-256" or x is None or y is None:
        raise refusal
    if max(x, y) >= P256_PRIME or (y * y - (x * x * x - 3 * x + P256_B)) % P256_PRIME:
        raise refusal

"""What the browser's crypto.js makes, made in Python: key pairs as JWK strings, and v1 envelopes."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IV_BYTES = 12


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode()


def _number(coordinate: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(coordinate + "=" * (-len(coordinate) % 4)))


def _public_key(jwk: str) -> ec.EllipticCurvePublicKey:
    point = json.loads(jwk)
    return ec.EllipticCurvePublicNumbers(_number(point["x"]), _number(point["y"]), ec.SECP256R1()).public_key()


@dataclass(frozen=True)
class KeyPair:
    """One side's P-256 pair; `public` and `private` are JWK strings, `d` the private number in base64url."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def fresh(cls) -> KeyPair:
        """A pair nobody has seen."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def _members(self) -> dict[str, str]:
        point = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _coordinate(point.x), "y": _coordinate(point.y)}

    @property
    def d(self) -> str:
        return _coordinate(self.key.private_numbers().private_value)

    @property
    def public(self) -> str:
        return json.dumps(self._members())

    @property
    def private(self) -> str:
        return json.dumps(self._members() | {"d": self.d})

    @classmethod
    def of(cls, private: str) -> KeyPair:
        """The pair of a private JWK, as the browser keeps it."""
        return cls(ec.derive_private_key(_number(json.loads(private)["d"]), ec.SECP256R1()))

    def _cipher(self, theirs: KeyPair | str) -> AESGCM:
        public = _public_key(theirs) if isinstance(theirs, str) else theirs.key.public_key()
        return AESGCM(self.key.exchange(ec.ECDH(), public))

    def seal(self, words: str | bytes, theirs: KeyPair | str) -> str:
        """The envelope (text) of words or bytes for the holder of `theirs`: a pair, or a public JWK."""
        iv = os.urandom(IV_BYTES)
        content = self._cipher(theirs).encrypt(iv, words.encode() if isinstance(words, str) else words, None)
        return json.dumps({"iv": list(iv), "content": list(content)}, separators=(",", ":"))

    def open(self, envelope: str, theirs: KeyPair | str) -> str:
        """The words in an envelope; raises InvalidTag when it was not sealed between these two."""
        return self.open_bytes(envelope, theirs).decode()

    def open_bytes(self, envelope: str | bytes, theirs: KeyPair | str) -> bytes:
        """The bytes in an envelope; raises InvalidTag when it was not sealed between these two."""
        parts = json.loads(envelope)
        return self._cipher(theirs).decrypt(bytes(parts["iv"]), bytes(parts["content"]), None)


MINE, THEIRS = KeyPair.fresh(), KeyPair.fresh()


def sealed(words: str = "words") -> str:
    """A valid envelope, where it does not matter between whom."""
    return MINE.seal(words, THEIRS)

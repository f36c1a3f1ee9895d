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

    def _cipher(self, theirs: KeyPair) -> AESGCM:
        return AESGCM(self.key.exchange(ec.ECDH(), theirs.key.public_key()))

    def seal(self, words: str, theirs: KeyPair) -> str:
        """The envelope (text) of `words` for the holder of `theirs`."""
        iv = os.urandom(IV_BYTES)
        content = self._cipher(theirs).encrypt(iv, words.encode(), None)
        return json.dumps({"iv": list(iv), "content": list(content)}, separators=(",", ":"))

    def open(self, envelope: str, theirs: KeyPair) -> str:
        """The words in an envelope; raises InvalidTag when it was not sealed between these two."""
        parts = json.loads(envelope)
        return self._cipher(theirs).decrypt(bytes(parts["iv"]), bytes(parts["content"]), None).decode()


MINE, THEIRS = KeyPair.fresh(), KeyPair.fresh()


def sealed(words: str = "words") -> str:
    """A valid envelope, where it does not matter between whom."""
    return MINE.seal(words, THEIRS)

"""Make v1.json: envelopes and keys from an implementation that is not ours (Python `cryptography`), fixed once.

Run: .venv/bin/python -m tests.vectors.make_v1 > tests/vectors/v1.json (new random keys: the file is the record)
"""

from __future__ import annotations

import base64
import json
import os
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from tests.seals import KeyPair

PLAINTEXTS = ("", "Hello World", "Grüße, 世界 👋🏽 \u0000 ﷺ", "x" * 10_000, '{"looks":"like JSON"}')
ITERATIONS = 600_000
PASSPHRASE, KEPT = "correct horse", "what was kept"


def _backup(passphrase: str, words: str) -> dict[str, object]:
    def b64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    salt, iv = os.urandom(16), os.urandom(12)
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, ITERATIONS).derive(passphrase.encode())
    kdf = {"name": "PBKDF2", "hash": "SHA-256", "iterations": ITERATIONS, "salt": b64(salt)}
    return {"v": 1, "kdf": kdf, "iv": b64(iv), "content": b64(AESGCM(key).encrypt(iv, words.encode(), None))}


def main() -> None:
    """Write the vectors to standard output."""
    alice, bob = KeyPair.fresh(), KeyPair.fresh()
    file_key, prefix = os.urandom(32), os.urandom(8)
    chunks = [b"first chunk", b"last chunk"]
    sealed = []
    for index, chunk in enumerate(chunks):
        counter = index.to_bytes(4)
        last = bytes([index == len(chunks) - 1])
        sealed.append(AESGCM(file_key).encrypt(prefix + counter, chunk, counter + last).hex())
    vectors = {
        "alice": {"privateKey": alice.private, "publicKey": alice.public},
        "bob": {"privateKey": bob.private, "publicKey": bob.public},
        "messages": [{"text": text, "envelope": alice.seal(text, bob)} for text in PLAINTEXTS],
        "file": {"key": file_key.hex(), "iv": prefix.hex(), "chunks": [c.hex() for c in chunks], "sealed": sealed},
        "backup": {"passphrase": PASSPHRASE, "text": KEPT, "sealed": _backup(PASSPHRASE, KEPT)},
    }
    json.dump(vectors, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

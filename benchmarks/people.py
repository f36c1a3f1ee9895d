"""Accounts that have exchanged keys in pairs, put straight into the database, with tokens minted from the secret."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

import jwt
from argon2 import PasswordHasher
from pymongo import MongoClient

from chat.models import conversation_id, now

TOKEN_S = 24 * 3600


@dataclass(frozen=True)
class Person:
    """An account: its 12-digit id, and the token of a login."""

    id: str
    token: str

    @property
    def auth(self) -> dict[str, str]:
        """What a socket connects with."""
        return {"token": self.token}


def _mint(custom_id: str, secret: str) -> str:
    moment = int(time.time())
    claims = {
        "sub": custom_id,
        "username": f"p-{custom_id}",
        "jti": secrets.token_hex(16),
        "type": "access",
        "fresh": False,
        "csrf": secrets.token_hex(16),
        "iat": moment,
        "nbf": moment,
        "exp": moment + TOKEN_S,
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def _user(custom_id: str, passphrase_hash: str) -> dict[str, Any]:
    name = f"p-{custom_id}"
    return {
        "_id": custom_id,
        "username": name,
        "username_key": name,
        "passphrase_hash": passphrase_hash,
        "created_at": now(),
    }


def populate(database_uri: str, secret: str, count: int, passphrase: str = "") -> list[Person]:
    """`count` new people; each of an even place has exchanged keys with the next one.

    With a `passphrase` they can log in, as `p-<id>`.
    """
    passphrase_hash = PasswordHasher().hash(passphrase) if passphrase else "none"
    ids = [f"{secrets.randbelow(10**12):012d}" for _ in range(count)]
    pairs = list(zip(ids[::2], ids[1::2], strict=False))
    database: Any = MongoClient(database_uri, w="majority", journal=True).get_default_database()
    database["users"].insert_many([_user(custom_id, passphrase_hash) for custom_id in ids])
    conversations = [
        {
            "_id": conversation_id(one, other),
            "members": sorted((one, other)),
            "connected": True,
            "last_seq": 0,
            "delivered": {},
            "read": {},
        }
        for one, other in pairs
    ]
    if conversations:
        database["conversations"].insert_many(conversations)
    database.client.close()
    return [Person(custom_id, _mint(custom_id, secret)) for custom_id in ids]

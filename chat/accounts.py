"""Accounts: ids, passphrases, invitations, and the end of a login."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from blinker import Signal
from mongoengine.errors import NotUniqueError

from chat.errors import Refusal
from chat.models import Invite, RevokedToken, User, now
from chat.settings import run_offloaded

ID_DIGITS = 12
INVITE_DAYS = 7
# One argon2id hash takes 64 MiB and four threads (RFC 9106, second recommended option). More at once than there are
# cores make logins hardly faster (on two cores: 9.7/s by four, 8.9/s by one), and messages wait four times as long.
HASHES_AT_ONCE = max(1, (os.cpu_count() or 1) // 4)

# Sent with the token id as sender when a token ends before its time, so that whoever holds its sockets closes them.
token_revoked = Signal()


class Accounts:
    """Signs people in and up; `registration` is open, invite or closed, `async_mode` as in the settings."""

    def __init__(self, registration: str, async_mode: str, hasher: PasswordHasher | None = None) -> None:
        self.registration = registration
        self._async_mode = async_mode
        self._hasher = hasher or PasswordHasher()
        self._slots = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def sign_in(self, username: str, passphrase: str, invite_code: str = "") -> tuple[User, bool]:
        """The account and whether it was made just now; raises Refusal unauthorized, registration_closed."""
        user = User.objects(username_key=username.casefold()).first()
        if user is not None:
            return self._known(user, passphrase), False
        if self.registration == "closed":
            raise Refusal("registration_closed", "Registration is closed on this server.")
        passphrase_hash = self._hash(passphrase)
        if self.registration == "invite":
            _spend_invite(invite_code)
        return self._create(username, passphrase, passphrase_hash)

    def _known(self, user: User, passphrase: str) -> User:
        if not self._verify(user.passphrase_hash, passphrase):
            raise Refusal("unauthorized", "Wrong passphrase for this username.")
        if self._hasher.check_needs_rehash(user.passphrase_hash):
            user.update(set__passphrase_hash=self._hash(passphrase))
        return user

    def _create(self, username: str, passphrase: str, passphrase_hash: str) -> tuple[User, bool]:
        while True:
            user = User(
                custom_id="".join(secrets.choice("0123456789") for _ in range(ID_DIGITS)),
                username=username,
                username_key=username.casefold(),
                passphrase_hash=passphrase_hash,
                created_at=now(),
            )
            try:
                user.save(force_insert=True)
                return user, True
            except NotUniqueError:
                rival = User.objects(username_key=username.casefold()).first()
                if rival is not None:  # somebody took the name between the look and the insert
                    return self._known(rival, passphrase), False

    def _verify(self, passphrase_hash: str, passphrase: str) -> bool:
        with self._slots:
            try:
                return run_offloaded(self._async_mode, self._hasher.verify, passphrase_hash, passphrase)
            except (VerificationError, InvalidHashError):
                return False

    def _hash(self, passphrase: str) -> str:
        with self._slots:
            return run_offloaded(self._async_mode, self._hasher.hash, passphrase)


def find(custom_id: str) -> User:
    """The account with this id; raises Refusal not_found."""
    user: User | None = User.objects(custom_id=custom_id).first()
    if user is None:
        raise Refusal("not_found", "User not found.")
    return user


def exists(custom_id: str) -> bool:
    """Whether anybody has this id."""
    return User.objects(custom_id=custom_id).only("custom_id").first() is not None


def _hash_of(code: str) -> str:
    return hashlib.sha256(code.strip().encode()).hexdigest()


def make_invite() -> str:
    """A new one-time code (128 random bits, base64url), good for INVITE_DAYS days; only its hash is kept."""
    code = secrets.token_urlsafe(16)
    Invite(code_hash=_hash_of(code), expires_at=now() + timedelta(days=INVITE_DAYS)).save(force_insert=True)
    return code


def _spend_invite(code: str) -> None:
    # One atomic delete, so that a code sent twice at once makes one account.
    spent = Invite.objects(code_hash=_hash_of(code), expires_at__gt=now()).modify(remove=True) if code else None
    if spent is None:
        raise Refusal(
            "registration_closed",
            "This server needs an invite code to create an account.",
            errors={"inviteCode": "This code is not valid, or has been used."},
        )


def revoke(jti: str, expires_at: float) -> None:
    """End the token `jti` before its time, `expires_at` in seconds since the epoch."""
    RevokedToken(jti=jti, expires_at=datetime.fromtimestamp(expires_at, UTC)).save()
    token_revoked.send(jti)


def is_revoked(jti: str) -> bool:
    """Whether this token was logged out."""
    return RevokedToken.objects(jti=jti).first() is not None


def revoked_among(jtis: Iterable[str]) -> list[str]:
    """Those of these tokens that were logged out."""
    return [token.jti for token in RevokedToken.objects(jti__in=list(jtis))]

"""Passwords: argon2id, computed in threads so that nobody else waits, a few at a time because each takes 64 MiB."""

from __future__ import annotations

import asyncio
import base64
import binascii
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 10
LONGEST: Final = 512
"""Characters. A longer one only costs time."""

AT_ONCE: Final = 2
MOST_WAITING: Final = 50
"""Some seconds of work. More than so many are strangers from everywhere, and whoever is in the queue would give up."""


class BusyError(Exception):
    """Too many passwords are being checked; the text says what to do."""


class PasswordError(Exception):
    """A password that will not do; the text says why and what would."""


def check_password(password: str, email: str = "") -> str:
    """The password as it may be set. Raises PasswordError."""
    if len(password) < SHORTEST:
        raise PasswordError(f"the password has {len(password)} characters; take {SHORTEST} or more, such as four words")
    if len(password) > LONGEST:
        raise PasswordError(f"the password has {len(password)} characters; take {LONGEST} at most")
    if email and password.lower() == email.lower():
        raise PasswordError("the password is the e-mail address; take something that only you know")
    return password


class Passwords:
    """`hasher` holds the parameters (RFC 9106's second choice by default); hashes made with others are replaced as
    their owners sign in."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None
        self._verifying = 0

    async def hash(self, password: str) -> str:
        """Argon2id's own text, with its parameters and salt."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def verify(self, hash_: str | None, password: str) -> bool:
        """Whether the password is that of the hash. Without one (nobody has this e-mail, or they have no password) the
        same work is done against a hash of nobody's, so that the time it takes tells nothing. Raises BusyError."""
        if self._verifying >= MOST_WAITING:
            raise BusyError("many people are signing in right now; try again in a moment")
        self._verifying += 1
        try:
            return await self._verified(hash_, password if len(password) <= LONGEST else "")
        finally:
            self._verifying -= 1

    async def _verified(self, hash_: str | None, password: str) -> bool:
        if self._nobody is None:
            self._nobody = await self.hash("nobody's password")
        async with self._turn:
            is_right = await asyncio.to_thread(self._matches, hash_ or self._nobody, _bytes(password))
        return is_right and bool(hash_)

    async def rehash(self, hash_: str, password: str) -> str | None:
        """A hash of the same password with today's parameters and the same salt; None when the hash has them."""
        if not self._hasher.check_needs_rehash(hash_):
            return None
        salt = _salt(hash_)
        async with self._turn:
            return await asyncio.to_thread(lambda: self._hasher.hash(_bytes(password), salt=salt))

    def _matches(self, hash_: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hash_, password)
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    """The same for every keyboard: some write é as one character, some as two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _salt(hash_: str) -> bytes | None:
    """The salt stays over a rehash: it tells sessions whether the password is still the one they began with."""
    try:
        text = hash_.split("$")[4]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (IndexError, binascii.Error):
        return None

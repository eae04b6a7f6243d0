"""Passwords that are proven and not sent (RFC 3261 section 22, RFC 8760): ours to a trunk, and theirs to us."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from aiosipua.auth import SipDigestAuth, build_credentials
from aiosipua.headers import AuthCredentials, parse_auth, stringify_auth
from aiosipua.message import SipRequest, SipResponse

from channels.sip.messages import uri_of

NONCE_SECONDS: Final = 300.0
REMEMBERED: Final = 10_000
_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def proof(answer: SipResponse, method: str, uri: str, *, username: str, password: str) -> tuple[str, str, bool] | None:
    """The header to send a request again with after a 401 or 407, its value, and whether the one before was only too
    old. None for a challenge that nobody can answer. The strongest of several is taken."""
    asked, header = ("WWW-Authenticate", "Authorization")
    if answer.status_code == 407:
        asked, header = ("Proxy-Authenticate", "Proxy-Authorization")
    challenges = [parse_auth(value) for value in answer.headers.get(asked)]
    challenges.sort(key=lambda each: each.params.get("algorithm", "MD5").upper() != "SHA-256")
    for challenge in challenges:
        made = build_credentials(SipDigestAuth(username, password), challenge, method, uri)
        if made is not None:
            return header, stringify_auth(made), challenge.params.get("stale", "").lower() == "true"
    return None


class Challenger:
    """Asks callers to prove who they are. Nonces are signed and not stored; only how often one was used is."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._used: OrderedDict[str, int] = OrderedDict()

    def challenge(self, realm: str, *, stale: bool = False) -> str:
        stamp = f"{int(self._clock()):x}.{secrets.token_hex(6)}"
        nonce = f"{stamp}.{self._signed(stamp)}"
        return f'Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"' + (", stale=true" if stale else "")

    def claimed(self, request: SipRequest) -> AuthCredentials | None:
        """What the request says of itself, not checked."""
        value = request.get_header("authorization")
        found = parse_auth(value, credentials=True) if value else None
        return found if found is not None and found.scheme.lower() == "digest" else None

    def check(self, request: SipRequest, realm: str, username: str, password: str) -> bool | None:
        """Whether it is proven; None: it is, with a nonce that is too old or was used."""
        given = self.claimed(request)
        if given is None:
            return False
        told = given.params
        digest = _HASHES.get(told.get("algorithm", "MD5").upper())
        stamp, _, signature = told.get("nonce", "").rpartition(".")
        if digest is None or not hmac.compare_digest(signature.encode(), self._signed(stamp).encode()):
            return False
        if told.get("username") != username or told.get("realm") != realm:
            return False
        if not _is_about(told.get("uri", ""), request.uri):
            return False

        def hashed(text: str) -> str:
            return digest(text.encode()).hexdigest()

        first = hashed(f"{username}:{realm}:{password}")
        second = hashed(f"{request.method}:{told['uri']}")
        count = told.get("nc", "")
        if told.get("qop") != "auth":
            return False  # without it an answer could be used again
        middle = f"{told['nonce']}:{count}:{told.get('cnonce', '')}:auth"
        wanted = hashed(f"{first}:{middle}:{second}")
        if not hmac.compare_digest(wanted.encode(), told.get("response", "").encode()):
            return False
        return True if self._is_fresh(stamp, count) else None

    def _is_fresh(self, stamp: str, count: str) -> bool:
        try:
            age, number = self._clock() - int(stamp.partition(".")[0], 16), int(count, 16)
        except ValueError:
            return False
        if age > NONCE_SECONDS or number <= self._used.get(stamp, 0):
            return False
        self._used[stamp] = number
        self._used.move_to_end(stamp)
        if len(self._used) > REMEMBERED:
            self._used.popitem(last=False)
        return True

    def _signed(self, stamp: str) -> str:
        return hmac.new(self._key, stamp.encode(), hashlib.sha256).hexdigest()[:32]


def _is_about(proven: str, asked: str) -> bool:
    """Some prove only the server's part of the address."""
    one, other = uri_of(proven), uri_of(asked)
    return (one.host.lower(), one.port) == (other.host.lower(), other.port) and one.user in (None, other.user)

"""Encrypted sound (RFC 3711) with the keys that the two sides have told each other (RFC 4568)."""

from __future__ import annotations

from typing import Any

from channels.sip.sdp import Crypto


class Srtp:
    """Raises ImportError where pylibsrtp is not installed."""

    def __init__(self, ours: Crypto, theirs: Crypto) -> None:
        import pylibsrtp

        self._error = pylibsrtp.Error
        self._ours = ours.key
        self._theirs = theirs.key
        self._out = _session(ours.key, outbound=True)
        self._in = _session(theirs.key, outbound=False)
        self.refused = 0
        """Packets of somebody without the key, and ones that were played back."""

    def renewed(self, ours: Crypto, theirs: Crypto) -> Srtp:
        """With the keys of a new description. A direction whose key stays goes on: how often its numbers have begun
        again is part of what both sides know (RFC 3711 section 3.3.1)."""
        if ours.key != self._ours:
            self._ours, self._out = ours.key, _session(ours.key, outbound=True)
        if theirs.key != self._theirs:
            self._theirs, self._in = theirs.key, _session(theirs.key, outbound=False)
        return self

    def lock(self, packet: bytes) -> bytes:
        return bytes(self._out.protect(packet))

    def lock_report(self, packet: bytes) -> bytes:
        return bytes(self._out.protect_rtcp(packet))

    def unlock(self, packet: bytes) -> bytes | None:
        try:
            return bytes(self._in.unprotect(packet))
        except (self._error, ValueError, TypeError):
            self.refused += 1
            return None

    def unlock_report(self, packet: bytes) -> bytes | None:
        try:
            return bytes(self._in.unprotect_rtcp(packet))
        except (self._error, ValueError, TypeError):
            return None


def _session(key: bytes, *, outbound: bool) -> Any:
    import pylibsrtp

    direction = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if outbound else pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction))

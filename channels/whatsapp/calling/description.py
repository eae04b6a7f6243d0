"""Our description of our sound, as the platform writes its own: with one fingerprint, by SHA-256."""

from __future__ import annotations


def for_platform(sdp: str) -> str:
    """Without the other fingerprints of the same certificate, over which the platform may refuse all of it."""
    lines = sdp.split("\r\n")
    return "\r\n".join(line for line in lines if not line.startswith("a=fingerprint:") or _is_known(line))


def _is_known(line: str) -> bool:
    return line.lower().startswith("a=fingerprint:sha-256 ")

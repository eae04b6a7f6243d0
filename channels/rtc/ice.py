"""How this server finds out where it is, seen from outside."""

from __future__ import annotations

from collections.abc import Iterable


def stun_of(urls: Iterable[str]) -> list[str]:
    """What tells the server itself where it is, if it is behind a router that translates addresses."""
    return [url for url in urls if url.startswith("stun:")][:1]

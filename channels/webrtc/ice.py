"""Where a browser finds its way to us: STUN and TURN servers, with credentials that end.

A TURN server that shares a secret with us (coturn: `use-auth-secret`) takes `<when it ends>:<anything>` as the user and
an HMAC-SHA1 of that as the password. Source: draft-uberti-behave-turn-rest-00, which coturn implements.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

TURN_SECONDS: Final = 3_600
"""A call lasts no longer than its relay: ten minutes are the default, and nobody dials in twice with one answer."""


def ice_servers(urls: Sequence[str], turn_secret: str | None, now: float) -> list[JsonValue]:
    """As `RTCPeerConnection` takes them: `[{"urls": […], "username"?, "credential"?}]`."""
    stun = [url for url in urls if url.startswith("stun")]
    turn = [url for url in urls if url.startswith("turn")]
    found: list[JsonValue] = []
    if stun:
        found.append({"urls": list[JsonValue](stun)})
    if turn:
        server: dict[str, JsonValue] = {"urls": list[JsonValue](turn)}
        if turn_secret is not None:
            user = f"{int(now) + TURN_SECONDS}:omni"
            mac = hmac.digest(turn_secret.encode(), user.encode(), hashlib.sha1)
            server |= {"username": user, "credential": base64.b64encode(mac).decode()}
        found.append(server)
    return found

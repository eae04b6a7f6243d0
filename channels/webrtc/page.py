"""The hosted page `/call/<agent>`, and the script and styles that it and the widget's call button share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from channels.hosted import Hosting
from omni.access.asking import Asking

ASSETS: Final = Path(__file__).parent / "assets"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; media-src 'self' blob: mediastream:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Our own script alone, which styles without inline styles."""


def _headers(_: Asking) -> dict[str, str]:
    return {
        "Content-Security-Policy": POLICY,
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    }


CALLS: Final = Hosting(
    kind="webrtc",
    script=ASSETS / "call.js",
    template=ASSETS / "call.html",
    path="call",
    nobody="Nobody can be called here. Agents with a channel of kind webrtc can.\n",
    headers=_headers,
)

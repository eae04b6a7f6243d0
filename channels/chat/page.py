"""The hosted page `/chat/<agent>` and the widget's script, `/widget.js`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from channels.hosted import Hosting
from omni.access.asking import Asking

ASSETS: Final = Path(__file__).parent / "assets"


def _headers(asking: Asking) -> dict[str, str]:
    return {"Content-Security-Policy": policy(asking.own_origin)}


def policy(origin: str) -> str:
    """The page's Content-Security-Policy: our own script alone, which styles without inline styles; pictures may come
    from anywhere, because agents show them. `origin` is the page's."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"connect-src 'self' {origin.replace('http', 'ws', 1)}",
            "img-src 'self' https: data: blob:",
            "media-src 'self' https:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ]
    )


CHAT: Final = Hosting(
    kind="chat",
    script=ASSETS / "widget.js",
    template=ASSETS / "page.html",
    path="chat",
    nobody="There is no chat here. Agents with a channel of kind chat have one.\n",
    headers=_headers,
)

"""How an account shows itself to Twilio: in a header, never in an address."""

from __future__ import annotations

import base64


def basic(account: str, token: str) -> str:
    """The value of an Authorization header."""
    return f"Basic {base64.b64encode(f'{account}:{token}'.encode()).decode()}"

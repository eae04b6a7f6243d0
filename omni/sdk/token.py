"""Tokens for browsers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """What a page needs to connect: it goes to the browser as it is. `expires_in` is seconds."""

    token: str
    server: str
    expires_in: int

    def wire(self) -> dict[str, str | int]:
        """With the names that the browser's code expects."""
        return {"token": self.token, "server": self.server, "expiresIn": self.expires_in}

    def __repr__(self) -> str:
        return f"Token(server={self.server!r}, expires_in={self.expires_in})"

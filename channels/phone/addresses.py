"""The addresses that Twilio is told for calls, all under our public one."""

from __future__ import annotations

from typing import Final

VOICE_PATH: Final = "/twilio/voice"
"""The only one that a person enters, at the number."""
STATUS_PATH: Final = "/twilio/status"
"""Shared with messages (`channels.twilio.door.status_route`)."""
AFTER_PATH: Final = "/twilio/after"
AMD_PATH: Final = "/twilio/amd"
ANNOUNCE_PATH: Final = "/twilio/announce"
JOINED_PATH: Final = "/twilio/joined"
MEDIA_PATH: Final = "/twilio/media"

ANNOUNCE_PREFIX: Final = "tan_"
"""What a sealed announcement begins with. It is sealed because addresses are logged on the way, and words are not."""


def media_url(url: str) -> str:
    """Of the media socket of a voice worker that is reached at `url` (`http(s)://…`, no slash at the end)."""
    return f"ws{url.removeprefix('http')}{MEDIA_PATH}"


def stream_url(media_url: str, account: str) -> str:
    """The address that goes into TwiML: it names the account, so that only its own secrets are tried."""
    return f"{media_url}/{account}"

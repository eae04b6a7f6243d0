"""Twilio's own Python package, which only SMS and telephone calls need: imported when such a channel is used."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Final

MISSING: Final = "SMS and calls need the package twilio, which is not installed: pip install 'omni-server[twilio]'"


class TwilioMissingError(Exception):
    """The package is not installed; the text is the sentence with the mend."""

    def __init__(self) -> None:
        super().__init__(MISSING)


@lru_cache(maxsize=1)
def is_installed() -> bool:
    return importlib.util.find_spec("twilio") is not None


def require() -> None:
    """Raises TwilioMissingError."""
    if not is_installed():
        raise TwilioMissingError

"""Inputs that come again: the bus delivers some twice, and so do providers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from omni.telemetry import metrics
from sessions.mail import Mail
from sessions.place import Place

log = logging.getLogger("omni.session")

REMEMBERED_KEYS: Final = 512


class Handled:
    """What one conversation has dealt with lately: cheaper than asking the store, which has the last word."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._keys: dict[str, None] = {}

    def set_apart(self, mails: Sequence[Mail], call: str | None) -> tuple[list[Mail], list[Mail]]:
        """Fresh mail, and repeats. The store is asked about one that the bus delivers again: meanwhile another worker
        may have had this call."""
        fresh: list[Mail] = []
        repeats: list[Mail] = []
        batch: set[str] = set()
        for mail in mails:
            key = mail.key
            if key is not None and (key in batch or (key in self._keys and not mail.is_redelivered)):
                repeats.append(mail)
                continue
            if key is not None:
                batch.add(key)
            fresh.append(mail)
        self.note(repeats, call)
        return fresh, repeats

    def note(self, repeats: Sequence[Mail], call: str | None) -> None:
        """Let the operator know of them."""
        for mail in repeats:
            metrics.DUPLICATES.labels(self._place.transport).inc()
            log.info("an input came again and is ignored: %s", mail.key, extra=self._place.about(call))

    def remember(self, keys: Sequence[str]) -> None:
        """These inputs are in the log and their effects are out."""
        for key in keys:
            self._keys[key] = None
        while len(self._keys) > REMEMBERED_KEYS:
            del self._keys[next(iter(self._keys))]

    def forget(self) -> None:
        """Ask the store from here on."""
        self._keys.clear()

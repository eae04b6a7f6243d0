"""What a conversation needs of the voice that a call with sound is heard and spoken through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from omni.model.entry import Entry
from sessions.atwork import AtWork
from sessions.state import CallState
from sessions.steps import Effect
from sessions.telling import Telling


class Voice(Protocol):
    id: str
    """The call's."""

    @property
    def has_begun(self) -> bool:
        """Its beginning is in the log."""

    def at_work(self, telling: Telling) -> AtWork:
        """Who has the brain of this call."""

    def follow(self, state: CallState, entries: Sequence[Entry], effects: Sequence[Effect]) -> None:
        """What is in the log now, and what is to be done about it. Returns at once."""

    def lost(self) -> None:
        """There is no such call in the log: it was ended elsewhere, or could not be opened. Returns at once."""

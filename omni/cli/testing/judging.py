"""Who plays the user in a test, and decides: what a judge is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from omni.cli.chat.client import Reply


@dataclass(frozen=True, slots=True)
class Say:
    """The user's next message."""

    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    has_passed: bool
    summary: str


Step: TypeAlias = Say | Verdict


class JudgeError(Exception):
    """The judge itself cannot go on; the text says why, and what to do."""


class Judge(Protocol):
    async def next(self, reply: Reply | None) -> Step:
        """What follows on the agent's answer to the message before; None at the beginning. Raises JudgeError."""
        ...

    async def close(self) -> None: ...

"""The log of a call with sound, kept behind its sound: whatever happens is posted in its order, and nobody waits."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import Final

from omni.live.told import Signal
from omni.model.contact import Contact, Sender
from omni.model.entry import BotFinished, BotInterrupted, Entry, Fact
from sessions.actor import Conversation
from sessions.fold import fold
from sessions.mail import Mail, Parcel
from sessions.state import CallState
from sessions.steps import Happening, Signalled, Witnessed

SIGNALS_BEHIND: Final = 500
"""What waits for the log when signals are no longer kept for their turn."""


class CallLog:
    """Around the conversation of one call. Its owner starts and stops it."""

    def __init__(self, call: str, conversation: Conversation) -> None:
        self._call = call
        self._conversation = conversation
        self._numbers = itertools.count(1)
        self._has_mail = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._task: asyncio.Task[None] | None = None
        self._heard: deque[Fact] = deque(maxlen=8)
        """What became of the bot's newest messages."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"log of {self._call}")

    def key(self) -> str:
        """A key that no other input has."""
        return f"{self._call}:{next(self._numbers)}"

    def post(
        self,
        happening: Happening,
        parcel: Parcel | None = None,
        contact: Contact | None = None,
        sender: Sender | None = None,
    ) -> None:
        """Behind what was posted before."""
        self._conversation.post(Mail(happening, parcel), contact, sender)
        self._is_idle.clear()
        self._has_mail.set()

    def witnessed(self, *facts: Fact) -> None:
        self._heard.extend(fact for fact in facts if isinstance(fact, BotFinished | BotInterrupted))
        self.post(Witnessed(self.key(), facts))

    def ahead(self, state: CallState, now: float) -> CallState:
        """The call as it will be when all that was heard of the bot is in its log: whoever interrupts is answered in
        the same moment, and by somebody who knows what they were told. What the log has already changes nothing."""
        for fact in self._heard:
            state = fold(state, Entry(seq=state.seq + 1, ts=now, call=state.id, agent=state.agent, fact=fact))
        return state

    def signal(self, signal: Signal) -> None:
        """Told in its order, and in no log; not at all when the log is far behind, as it is while its store is away:
        nobody wants to hear then what was so a minute ago, and the calls of an hour would fill the memory."""
        if self._conversation.waiting < SIGNALS_BEHIND:
            self.post(Signalled(signal))

    async def written(self) -> None:
        """Everything that was posted is in the log, or nothing comes of it any more."""
        await self._is_idle.wait()

    async def stop(self) -> None:
        """What was posted is in the log, as far as its store is there; nothing runs any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._conversation.stop()

    async def _keep(self) -> None:
        while self._task is not None:  # a driver may lose a cancellation that comes while it reads
            await self._has_mail.wait()
            self._has_mail.clear()
            await self._conversation.run()
            if not self._has_mail.is_set():
                self._is_idle.set()

"""What a call's log tells its sound: entries and effects as they come, and whose brain it asks to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from omni.model.entry import Entry
from sessions.atwork import AtWork
from sessions.speaking import Mouth
from sessions.state import CallState
from sessions.steps import Around, Effect
from sessions.telling import Telling
from sessions.voiced import VoicedBrain
from workers.voice.line import Sounding
from workers.voice.mouth import TurnMouth
from workers.voice.ringing import Ringing


class Followed(Sounding, Protocol):
    ringing: Ringing
    ended: asyncio.Event
    """The end is in the log."""


class Following:
    """Of one call: the `sessions.voice.Voice` of its conversation."""

    def __init__(self, call: Followed) -> None:
        self.id = call.id
        self._call = call
        self._brain: VoicedBrain | None = None
        self._seen: tuple[CallState, Around] | None = None
        self.mouths: list[TurnMouth] = []
        """Of the turn that is being answered, and of a guess at the next one."""

    @property
    def seen(self) -> tuple[CallState, Around] | None:
        """The call as its log has it now, or had it before its store went away."""
        self._seen = self._call.conversation.look() or self._seen
        return self._seen

    @property
    def brain(self) -> VoicedBrain:
        assert self._brain is not None, "the conversation asks for its brain as it is made"
        return self._brain

    # Voice: the log speaks

    @property
    def has_begun(self) -> bool:
        return self._seen is not None

    def at_work(self, telling: Telling) -> AtWork:
        self._brain = VoicedBrain(self._call.services.world, telling, self._mouth_for)
        return self._brain

    def follow(self, state: CallState, entries: Sequence[Entry], effects: Sequence[Effect]) -> None:
        call = self._call
        self._seen = call.conversation.look() or self._seen
        if call.leg is not None:
            for entry in entries:
                call.obeying.read(state, entry.fact)
        for effect in effects:
            if call.leg is not None:
                call.obeying.perform(state, effect)
            else:
                call.ringing.perform(effect)
        if not state.is_open:
            call.ended.set()

    def lost(self) -> None:
        self._call.finish("error")
        self._call.ended.set()

    def _mouth_for(self, turn: int, answers: str) -> Mouth:
        for each in self.mouths:
            if not each.is_released:
                each.shut()
        self.mouths = [each for each in self.mouths if each.is_released and not each.is_done]
        call = self._call
        mouth = TurnMouth(call.bot, call.obeying, call.times, turn, answers, call.message_id)
        self.mouths.append(mouth)
        return mouth

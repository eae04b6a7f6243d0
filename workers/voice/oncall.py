"""A call with sound, as the parts that carry out its turn rules and its log's wishes see it."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from channels.audio import Leg
from omni.live.told import Signal
from omni.model.channel import Channel
from omni.model.entry import Fact
from omni.model.inbound import Ask
from omni.model.sound import Sound
from sessions.actor import Conversation
from sessions.place import Place
from sessions.state import CallState
from sessions.steps import Around, CallCame
from sessions.voiced import VoicedBrain
from workers.voice.bot import Bot
from workers.voice.caller import Caller
from workers.voice.controls import Controls
from workers.voice.early import EarlyReplies
from workers.voice.latency import TurnTimes
from workers.voice.limits import LimitKeeper
from workers.voice.log import CallLog
from workers.voice.mouth import TurnMouth
from workers.voice.services import Services
from workers.voice.talking import Talking
from workers.voice.traced import TurnTraces


class Answers(Protocol):
    """Whether and how a brain of ours answers."""

    @property
    def may_answer(self) -> bool:
        """True when a brain of ours answers the caller, and may."""

    def redacted(self, text: str) -> str:
        """As it is written down."""

    def greet(self) -> None:
        """Say the first words of ours."""


class OnCall(Protocol):
    """`bot` and what follows it are there once the call has its sound (`leg`)."""

    id: str
    place: Place
    came: CallCame
    """How it begins."""
    services: Services
    conversation: Conversation
    log: CallLog
    times: TurnTimes
    traces: TurnTraces
    early: EarlyReplies
    sound: Sound
    waits: bool
    """The greeting is said when the other side has said something."""
    greets: str | None
    """Said first instead of the agent's own greeting."""
    leg: Leg | None
    bot: Bot
    caller: Caller
    controls: Controls
    limits: LimitKeeper
    talking: Talking

    @property
    def is_ending(self) -> bool: ...

    @property
    def is_logged(self) -> bool:
        """False for a caller who was answered, and whose sound has not come."""

    @property
    def channel(self) -> Channel | None: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def brain(self) -> VoicedBrain: ...

    @property
    def mouths(self) -> Sequence[TurnMouth]:
        """Of the turn that is being answered, and of a guess at the next one."""

    @property
    def seen(self) -> tuple[CallState, Around] | None:
        """The call as its log has it now, or had it before its store went away."""

    def look(self) -> tuple[CallState, Around]:
        """The same, of a call that is in its log."""

    def at(self, now: float | None = None) -> float:
        """The call's clock."""

    def signal(self, signal: Signal) -> None:
        """Tell it, if anybody may listen."""

    def witnessed(self, *facts: Fact) -> None: ...

    def message_id(self) -> str: ...

    def answer_back(self, ask: Ask) -> None:
        """Tell whoever brings the caller back where their sound goes."""

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that the call owns."""

    def finish(self, reason: str, *, is_gone: bool = False) -> None:
        """The call is over, once. `is_gone`: its carrier needs no telling."""

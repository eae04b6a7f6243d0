"""The brain of a call with sound: it may begin on words that the caller has not certainly finished, silently; when the
turn is in the log, the same work goes on as its answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omni.live.told import Signal
from omni.model.entry import Entry, UserSaid
from omni.model.inbound import ToolResults, TurnReady
from omni.model.message import Message
from sessions.asks import is_about
from sessions.fold import fold
from sessions.mail import Mail
from sessions.preparing import Barrier
from sessions.speaking import Mouth, Speaking
from sessions.state import CallState
from sessions.steps import Around, LiveTurn
from sessions.telling import Telling
from sessions.workbench import Look, Report, Workbench
from sessions.world import World

MouthOf = Callable[[int, str], Mouth]
"""The mouth for the answer to a turn (its number, and the message that it answers)."""


@dataclass(slots=True)
class _Thought:
    """The answer to `message`, whose words are `text`. `is_kept`: the turn is over for the voice, and will be in the
    log."""

    speaking: Speaking
    message: str
    text: str
    is_kept: bool = False


class VoicedBrain:
    """Of one call. There is one turn in the log at most that is being answered, and a guess at the next one."""

    def __init__(self, world: World, telling: Telling, mouth_of: MouthOf) -> None:
        self._world = world
        self._telling = telling
        self._mouth_of = mouth_of
        self._barrier = Barrier()
        self._sure: Speaking | None = None
        self._guesses: list[_Thought] = []
        """The newest is open; those before it are kept until the log has their turns."""
        self._void: deque[str] = deque(maxlen=16)
        """Messages that the caller went on from: the log may begin their turns yet, and end them right after."""
        self._old: set[asyncio.Task[None]] = set()

    # guesses

    def guess(self, number: int, message: str, text: str, replaces: str | None, look: Look) -> None:
        """Think about an answer to these words. Nothing of it is told, and no tool runs, before `begin`. A developer's
        server is not asked before: to be asked is something that happens there, and it is asked once a turn."""
        if look()[1].agent.brain == "webhook":
            return
        if any((each.message, each.text) == (message, text) for each in self._guesses):
            return
        self.drop("another guess")

        def imagined() -> tuple[CallState, Around]:
            state, around = look()
            return _as_if_said(state, message, text, replaces, around.now), around

        state = imagined()[0]
        bench = Workbench(self._world, number, state.unanswered, imagined, _nobody_reads, is_sure=False)
        self._guesses.append(_Thought(self._start(bench, message, state), message, text))

    def keep(self, message: str) -> None:
        """The guess at this message is right, and goes on until the log knows."""
        for each in self._guesses:
            each.is_kept = each.is_kept or each.message == message

    def drop(self, because: str, *, turn: int | None = None, everything: bool = False) -> None:
        """The guess is not wanted; what was kept stays, but for that of `turn`, or `everything`. A turn that is in the
        log stays (`cut`)."""
        kept = [
            each for each in self._guesses if each.is_kept and each.speaking.bench.number != turn and not everything
        ]
        for each in self._guesses:
            if each not in kept:
                self._void += [each.message] if each.is_kept else []
                self._end(each.speaking, because)
        self._guesses = kept

    # turns

    def is_on(self, turn: LiveTurn) -> bool:
        return self._sure is not None and self._sure.bench.answers == turn.answers

    def begin(self, state: CallState, turn: LiveTurn, look: Look, report: Report) -> None:
        said = next((line for line in reversed(state.lines) if line.ref == turn.answers[-1]), None)
        text = said.text if said is not None else ""
        self._end(self._sure, "a newer turn began")
        self._sure = None
        if turn.answers[-1] in self._void:
            return
        for at, each in enumerate(self._guesses):
            if (each.message, each.text, each.speaking.bench.number) == (turn.answers[-1], text, turn.number):
                for older in self._guesses[:at]:
                    self._end(older.speaking, "a newer turn began")
                self._guesses = self._guesses[at + 1 :]
                self._sure = each.speaking
                each.speaking.bench.confirm(turn.answers, look, report)
                break
        else:
            self.drop("a newer turn began")
            bench = Workbench(self._world, turn.number, turn.answers, look, report)
            self._sure = self._start(bench, turn.answers[-1], state)
        self._sure.mouth.release()

    def cut(self, because: str, number: int | None = None) -> Speaking | None:
        """End the turn that is being answered (if it is turn `number`). A guess is not cut by what goes on in the log:
        it is the voice's own (`drop`)."""
        sure = self._sure
        if sure is None or (number is not None and sure.bench.number != number):
            return None
        self._sure = None
        return self._end(sure, because)

    def bring(self, mails: Sequence[Mail], call: str) -> None:
        for mail in mails:
            if not is_about(mail, call):
                continue
            if isinstance(mail.happening, TurnReady):
                self._barrier.lift(mail.happening.turn)
            elif isinstance(mail.happening, ToolResults) and self._sure is not None:
                self._sure.bring(mail.happening)

    async def come_to_rest(self) -> None:
        self.drop("the call is over", everything=True)
        self.cut("the call is over")
        if self._old:
            await asyncio.wait(self._old)

    def _start(self, bench: Workbench, message: str, state: CallState) -> Speaking:
        async def tell(signal: Signal) -> None:
            await self._telling.signal(state, signal)

        speaking = Speaking(bench, self._mouth_of(bench.number, message), self._barrier, tell)
        speaking.start()
        return speaking

    def _end(self, speaking: Speaking | None, because: str) -> Speaking | None:
        task = speaking.cancel(because) if speaking is not None else None
        if task is not None:
            self._old.add(task)
            task.add_done_callback(self._old.discard)
        return speaking


def _as_if_said(state: CallState, message: str, text: str, replaces: str | None, now: float) -> CallState:
    """The call as it will be when these words are in its log."""
    said = UserSaid(id=message, text=text, provider_id=message, at=now, message=Message.of(text), replaces=replaces)
    return fold(state, Entry(seq=state.seq + 1, ts=now, call=state.id, agent=state.agent, fact=said))


def _nobody_reads(happening: object, accepted: object) -> None:
    """A guess reports nothing."""

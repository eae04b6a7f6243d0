"""The turn rules' decisions, carried out in one call: who is asked, what is told, what the bot does."""

from __future__ import annotations

from omni.live import speech as signals
from omni.model.entry import UserSaid
from omni.model.message import Message
from sessions.state import CallState
from sessions.steps import Around, SpokenTurn, TurnCut, WentOn
from workers.voice.oncall import OnCall
from workers.voice.playout.facts import WordHeard
from workers.voice.turns import words as turns
from workers.voice.turns.state import Talk


class Turning:
    """Of one call."""

    def __init__(self, call: OnCall) -> None:
        self._call = call
        self._told: str | None = None
        """The message of the newest turn that was told as over."""
        self._replaces: str | None = None
        """The same, where the caller goes on with it."""

    @property
    def is_thinking(self) -> bool:
        """True while a turn of the caller's waits for the first words of its answer."""
        return any(mouth.is_awaited for mouth in self._call.mouths)

    def do(self, action: turns.Action, talk: Talk) -> None:
        call, now = self._call, self._call.services.world.clock
        match action:
            case turns.SpeechStarted():
                call.limits.spoke()
                call.caller.begin()
                call.signal(signals.SpeechStarted(turn=action.turn, confidence=action.confidence, at=now()))
            case turns.SpeechEnded():
                call.caller.end()
                ended = signals.SpeechEnded(turn=action.turn, duration_ms=max(0.0, action.duration_ms), at=now())
                call.signal(ended)
            case turns.Interim():
                text = call.answers.redacted(action.text)
                call.signal(
                    signals.Hearing(turn=action.turn, message=action.message, text=text, confidence=action.confidence)
                )
            case turns.Recognise():
                call.times.asked()
                call.caller.ask(action.pause, call.times.recognised)
            case turns.Judge():
                call.caller.judge(action.pause)
            case turns.Forget():
                call.caller.forget()
            case turns.Eager():
                self._eager(action)
            case turns.Pause():
                call.signal(
                    signals.TurnPaused(turn=action.turn, probability=action.probability, latency_ms=action.latency_ms)
                )
            case turns.Resumed():
                call.signal(signals.TurnResumed(turn=action.turn, at=now()))
            case turns.EndTurn():
                call.times.turn_ended(action.turn, action.latency_ms)
                call.traces.begin(action.turn, action.latency_ms)
                with call.traces.within(action.turn):
                    self._end_turn(action)
            case turns.Continue():
                self._continue(action)
            case turns.Nothing():
                self._nothing()
            case turns.HoldBot():
                call.bot.hold()
            case turns.ResumeBot():
                call.bot.resume()
            case turns.Interrupt():
                self._interrupt(action, talk)

    def word_heard(self, heard: WordHeard) -> None:
        self._call.signal(
            signals.BotWord(
                message=heard.message,
                word=heard.text,
                index=heard.index,
                start=round(heard.start, 3),
                end=round(heard.end, 3),
            )
        )

    def _eager(self, eager: turns.Eager) -> None:
        call = self._call
        text = call.answers.redacted(eager.text)
        call.signal(
            signals.EagerTurn(
                turn=eager.turn,
                message=eager.message,
                text=text,
                probability=eager.probability,
                latency_ms=eager.latency_ms,
            )
        )
        call.early.expect(eager.message)
        call.traces.begin(eager.turn, eager.latency_ms)
        with call.traces.within(eager.turn):
            self._think(eager.turn, eager.message, text, self._replaces)

    def _think(self, turn: int, message: str, text: str, replaces: str | None) -> None:
        """Let the brain begin, unless it is a program's, must be silent, or has to greet first."""
        call = self._call
        if not call.waits and call.answers.may_answer:
            call.brain.guess(turn, message, text, replaces, self._look)

    def _look(self) -> tuple[CallState, Around]:
        state, around = self._call.look()
        return self._call.log.ahead(state, around.now), around

    def _end_turn(self, end: turns.EndTurn) -> None:
        call = self._call
        self._told, self._replaces = end.message, None
        text = call.answers.redacted(end.text)
        if call.waits:
            self._first_words(end, text)
            return
        self._think(end.turn, end.message, text, end.replaces)
        call.brain.keep(end.message)
        for mouth in call.mouths:
            if mouth.answers != end.message:
                mouth.shut()
            elif call.answers.may_answer:
                mouth.release()
        call.log.post(
            SpokenTurn(
                call.log.key(),
                end.turn,
                end.message,
                text,
                confidence=end.confidence,
                probability=end.probability,
                latency_ms=round(end.latency_ms, 1),
                speech_ms=round(end.speech_ms, 1),
                language=end.language,
                replaces=end.replaces,
            )
        )
        call.early.let_go()

    def _first_words(self, end: turns.EndTurn, text: str) -> None:
        """Whoever we called has said something: now they are greeted, and that is the answer."""
        call = self._call
        call.waits = False
        now = call.services.world.clock()
        call.witnessed(
            UserSaid(
                id=end.message,
                text=text,
                provider_id=end.message,
                at=now,
                message=Message.of(text),
                paused=True,
                turn=end.turn,
                confidence=end.confidence,
                language=end.language,
            )
        )
        call.answers.greet()

    def _continue(self, on: turns.Continue) -> None:
        call = self._call
        if on.was == self._told:
            self._replaces = on.was
        call.traces.over("continued")
        call.brain.drop("the caller goes on", turn=on.turn)
        call.brain.cut("the caller goes on", on.turn)
        call.early.let_go()
        for mouth in call.mouths:
            if mouth.turn == on.turn:
                mouth.shut()
        call.bot.drop_turn(on.turn)
        call.log.post(WentOn(call.log.key(), on.turn, on.was, on.message))

    def _nothing(self) -> None:
        call = self._call
        call.early.let_go()
        self._replaces = None
        call.traces.over("nothing was said")
        call.brain.drop("nothing was said")
        for mouth in call.mouths:
            if not mouth.is_released:
                mouth.shut()

    def _interrupt(self, interrupt: turns.Interrupt, talk: Talk) -> None:
        call = self._call
        turn = talk.bot.turn if talk.bot is not None else None
        for mouth in call.mouths:
            if turn is None or mouth.turn == turn:
                mouth.shut()
        call.bot.drop(interrupt.reason)
        if turn is not None and interrupt.reason == "user_spoke":
            call.log.post(TurnCut(call.log.key(), turn))

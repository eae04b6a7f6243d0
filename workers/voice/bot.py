"""What our side says in one call: messages in their order, from words to what the caller has heard of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from omni.model.entry import Fact
from workers.voice.playout.facts import Began, Cut, Finished, PlayoutFact, TonesHeard, WordHeard
from workers.voice.playout.queue import Playout
from workers.voice.saying import Reason, Saying
from workers.voice.tts.base import Sound, TtsError
from workers.voice.tts.say import Utterance, Voice

log = logging.getLogger("omni.voice")

Hold = Literal["voice", "caller", "away"]
"""Somebody may be interrupting; the caller is on hold, or is not there to hear it."""


class BotEar(Protocol):
    """Who hears how it goes. Each returns at once."""

    def witnessed(self, *facts: Fact) -> None:
        """For the log."""

    def word_heard(self, heard: WordHeard) -> None: ...

    def began(self, message: str, turn: int | None) -> None:
        """The first sound of a message goes out."""

    def first_sound(self, message: str, turn: int | None) -> None:
        """There is sound of a message that nobody has heard yet."""

    def fell_silent(self) -> None:
        """Nothing of ours is said or waits."""

    def tones_heard(self, name: str) -> None: ...


class Bot:
    """Messages are said one after the other. `voice` is who speaks: a change counts from the next message on."""

    def __init__(self, voice: Voice, ear: BotEar, playout: Callable[[Callable[[PlayoutFact], None]], Playout]) -> None:
        self.voice = voice
        self._ear = ear
        self._lines: dict[str, Saying] = {}
        self._reason: Reason = "cancelled"
        self._then: list[Callable[[], None]] = []
        self._dead: dict[str, None] = {}
        self._held: set[Hold] = set()
        self._running: dict[Utterance, None] = {}
        self._is_over = False
        self.playout = playout(self._told)

    @property
    def is_speaking(self) -> bool:
        """True while anything of ours is said or waits."""
        return bool(self._lines)

    def says(self, turn: int) -> bool:
        """True while anything that answers this turn is said or waits."""
        return any(line.turn == turn for line in self._lines.values())

    def look_ahead(self) -> None:
        """No more sound is made than is needed: tell how much of what is being said is still to be heard."""
        for line in self._lines.values():
            line.utterance.ahead(self.playout.waiting_s(line.id))
            return

    # words in

    def say(
        self, id_: str, text: str, turn: int | None = None, *, in_history: bool = True, logged: bool = True
    ) -> None:
        """A whole message."""
        self.open(id_, turn, in_history=in_history, logged=logged)
        self.add(id_, text, is_whole=True)
        self.close(id_)

    def open(self, id_: str, turn: int | None = None, *, in_history: bool = True, logged: bool = True) -> None:
        """A message takes its place; its words follow."""
        if self._is_over or id_ in self._lines or id_ in self._dead:
            return
        self.playout.begin(id_)

        def on_sound(sound: Sound) -> None:
            self._sounds(line, sound)

        def on_end(error: TtsError | None) -> None:
            self._running.pop(line.utterance, None)
            self._made(line, error)

        line = Saying(id_, turn, in_history, logged, Utterance(self.voice, on_sound, on_end))
        self._lines[id_] = line
        self._running[line.utterance] = None

    def add(self, id_: str, text: str, *, is_whole: bool = False) -> None:
        line = self._lines.get(id_)
        if line is not None:
            line.text += text
            line.utterance.add(text, is_whole)
            self.playout.add(id_, text=text)

    def close(self, id_: str) -> None:
        """The message is complete."""
        line = self._lines.get(id_)
        if line is not None:
            line.utterance.end()

    def has_words(self, id_: str) -> bool:
        line = self._lines.get(id_)
        return line is not None and bool(line.text.strip())

    def turn_of(self, id_: str) -> int | None:
        """The turn that a message answers which is said or waits."""
        line = self._lines.get(id_)
        return None if line is None else line.turn

    def afterwards(self, act: Callable[[], None]) -> None:
        """Do it when everything that was given until now was heard, or dropped."""
        if self._lines:
            self._then.append(act)
        elif not self._is_over:
            act()

    # silence

    def hold(self, because: Hold = "voice") -> None:
        """Say nothing, and keep the rest, until every reason for it is gone."""
        self._held.add(because)
        self.playout.hold()

    def resume(self, because: Hold = "voice") -> None:
        self._held.discard(because)
        if not self._held:
            self.playout.resume()

    def drop(self, reason: Reason) -> None:
        """Stop, and drop all that waits. What was to be done afterwards is not done, unless we only cancel."""
        if reason != "cancelled":
            self._then.clear()
        self._reason = reason
        for line in self._lines.values():
            line.utterance.cancel()
        self.playout.drop()
        self._held.discard("voice")
        if self._held:
            self.playout.hold()
        self._reason = "cancelled"
        self._settle()

    def drop_turn(self, turn: int) -> None:
        """Drop what answers a turn that goes on, also a message that has no words yet: they count as unsaid."""
        self._reason = "early"
        for line in [line for line in self._lines.values() if line.turn == turn]:
            self.cancel(line.id)
        self._reason = "cancelled"

    def hush(self) -> None:
        """Drop what the bot says, and what it was to do afterwards; what people on our side typed is said."""
        self._then.clear()
        for line in [line for line in self._lines.values() if line.is_logged]:
            self.cancel(line.id)

    def cancel(self, id_: str) -> None:
        """Drop one message; more of it is not taken."""
        self._dead[id_] = None
        while len(self._dead) > 64:
            del self._dead[next(iter(self._dead))]
        line = self._lines.get(id_)
        if line is not None:
            line.utterance.cancel()
            self.playout.cancel(id_)
            self._settle()

    def end(self) -> None:
        """Not a word more, and nothing afterwards: the call is over."""
        self._is_over = True
        self._then.clear()
        self.drop("cancelled")

    async def closed(self) -> None:
        """After `end`: wait until nothing runs any more."""
        for utterance in list(self._running):
            utterance.cancel()
            await utterance.closed()

    # sound out

    def _sounds(self, line: Saying, sound: Sound) -> None:
        if sound.pcm and not line.has_sound:
            line.has_sound = True
            self._ear.first_sound(line.id, line.turn)
            self.playout.add(line.id, sound.pcm, sound.words)
            self.playout.hurry()
            return
        self.playout.add(line.id, sound.pcm, sound.words)

    def _made(self, line: Saying, error: TtsError | None) -> None:
        if error is not None:
            log.warning("a message is not said to its end: %s", error)
        if line.id in self._lines and not line.utterance.cancelled:
            self.playout.end(line.id, is_whole=error is None)

    def _told(self, fact: PlayoutFact) -> None:
        match fact:
            case Began():
                self._began(fact)
            case WordHeard():
                line = self._lines.get(fact.message)
                if line is not None and line.is_logged:
                    self._ear.word_heard(fact)
            case Finished():
                self._finished(fact)
            case Cut():
                self._cut(fact)
            case TonesHeard():
                self._ear.tones_heard(fact.name)

    def _began(self, fact: Began) -> None:
        line = self._lines.get(fact.message)
        if line is None:
            return
        line.began = True
        if line.is_logged:
            self._ear.witnessed(line.said())
        self._ear.began(line.id, line.turn)

    def _finished(self, fact: Finished) -> None:
        line = self._lines.pop(fact.message, None)
        if line is None:
            return
        if line.is_logged and (line.began or line.text.strip()):
            self._ear.witnessed(line.finished(fact.duration_ms))
        self._settle()

    def _cut(self, fact: Cut) -> None:
        line = self._lines.pop(fact.message, None)
        if line is None:
            return
        if line.is_logged:
            self._ear.witnessed(line.interrupted(fact, self._reason))
        self._settle()

    def _settle(self) -> None:
        if self._lines:
            return
        self.resume("voice")  # there is nothing left that somebody could interrupt
        self._ear.fell_silent()
        then, self._then = self._then, []
        for act in then:
            act()

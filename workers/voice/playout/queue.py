"""What the bot says in one call, from sound to heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from workers.voice.playout.facts import Began, PlayoutFact, TonesHeard
from workers.voice.playout.message import Spoken
from workers.voice.playout.sending import Line, Sending
from workers.voice.playout.sources import Loop, Tones
from workers.voice.tts.base import WordTime

LEAD_MS: Final = 140.0
"""Sound is sent until the far end has so much waiting: enough for a late tick, little enough to be dropped unheard."""


class Playout:
    """Messages are played one after the other, in the order in which they began; `tick` is called every 20 ms.

    Synchronous; times are milliseconds of the clock `now`. `tell` is called with each fact, in order, and may call
    back. `tap` is called with every frame of speech and tones that the caller has heard, and when that
    began: the bot's side of a recording. Methods pass over messages that they do not know (any more).
    """

    def __init__(
        self,
        rate: int,
        line: Line,
        tell: Callable[[PlayoutFact], None],
        now: Callable[[], float],
        *,
        tap: Callable[[bytes, float], None] | None = None,
        lead_ms: float = LEAD_MS,
    ) -> None:
        self._rate = rate
        self._tell = tell
        self._now = now
        self._tap = tap
        self._out = Sending(rate, line, lead_ms)
        self._messages = self._out.messages
        self._facts: deque[PlayoutFact] = deque()
        self._is_telling = False

    @property
    def playing(self) -> str | None:
        """The message that is being heard, or is next; None when there is none."""
        return self._messages[0].id if self._messages else None

    @property
    def has_begun(self) -> bool:
        """True from the first sound of a message until it has ended, also while it is held."""
        return bool(self._messages) and self._messages[0].has_begun

    @property
    def is_held(self) -> bool:
        return self._out.is_held

    def heard_ms(self) -> float:
        """How much of the message that is playing the caller has heard by now."""
        self._listen(self._now())
        self._tell_all()
        return self._messages[0].heard_ms if self._messages else 0.0

    def waiting_s(self, message: str) -> float:
        """How many seconds of a message's sound are still to be heard."""
        spoken = self._find(message)
        return 0.0 if spoken is None else max(0.0, (spoken.length - spoken.heard) / (self._rate * 2))

    def restart(self, line: Line) -> None:
        """The far end is another one from here on: what lay at the old one was not heard."""
        self._clear()
        self._out.restart(line)
        self._tell_all()

    # what is to be said

    def begin(self, message: str, text: str = "") -> None:
        """A message takes its place in the queue. `text` is what it says, as far as that is known."""
        if self._find(message) is None:
            self._messages.append(Spoken(message, self._rate, text))

    def add(self, message: str, pcm: bytes = b"", words: Sequence[WordTime] = (), text: str = "") -> None:
        """More of a message: sound of any length, words in order, timed from the beginning of the message, and more of
        its text, which is put behind what there is. They need not come together."""
        spoken = self._find(message)
        if spoken is not None:
            spoken.add(pcm, words, text)

    def end(self, message: str, *, is_whole: bool = True) -> None:
        """No more sound comes. Not `is_whole`: some of it never came, so it will be `Cut` where its sound ends."""
        spoken = self._find(message)
        if spoken is None:
            return
        spoken.has_ended, spoken.is_whole = True, is_whole
        if not spoken.length and is_whole:
            self._messages.remove(spoken)
            self._facts += spoken.finish()
        self._settle()
        self._tell_all()

    # what becomes of it

    def hold(self) -> None:
        """Say nothing now, and keep the rest. Tones and what plays in the background go on."""
        if not self._out.is_held:
            self._out.is_held = True
            self._clear()
            self._tell_all()

    def resume(self) -> None:
        """Go on from where the caller's ear was, with the word that was broken off."""
        if self._out.is_held:
            self._out.is_held = False
            if self._messages:
                self._messages[0].rewind_to_word()

    def drop(self) -> None:
        """Cut everything that was to be said, in order. Tones and what plays in the background go on."""
        self._clear()
        self._facts += [spoken.cut() for spoken in self._messages]
        self._messages.clear()
        self._out.is_held = False
        self._tell_all()

    def cancel(self, message: str) -> None:
        """Cut one message, wherever it is in the queue."""
        spoken = self._find(message)
        if spoken is None:
            return
        self._listen(self._now())
        if spoken in self._messages:
            if self._out.is_on_its_way(spoken):
                self._clear()
            self._messages.remove(spoken)
            self._facts.append(spoken.cut())
            self._settle()
        self._tell_all()

    def background(self, pcm: bytes | None) -> None:
        """Play this again and again whenever nothing is being said; None ends it at once."""
        if self._out.loop is not None and self._out.is_on_its_way(self._out.loop):
            self._clear()
        self._out.loop = Loop(pcm) if pcm else None
        self._tell_all()

    def tones(self, pcm: bytes, name: str = "") -> None:
        """Play tones between two frames of speech, which waits for them. Nothing but the end of the call stops them."""
        if pcm:
            self._out.add_tones(Tones(name, pcm))
        else:
            self._facts.append(TonesHeard(name))
            self._tell_all()

    def played(self, mark: str) -> None:
        """`Ear.played`."""
        now = self._now()
        self._out.far.confirm(mark, now)
        self._listen(now)
        self._tell_all()

    # time passes

    def tick(self, now: float) -> None:
        """Tell what was heard, and send what is to be sent by now."""
        self._listen(now)
        if self._out.send(now):
            self._settle()
        if self._facts:
            self._tell_all()

    def hurry(self) -> None:
        """Send what there is: the first sound of an answer does not wait for the next tick."""
        self.tick(self._now())

    def _listen(self, now: float) -> None:
        for sent in self._out.heard(now):
            owner = sent.owner
            if self._tap is not None and not isinstance(owner, Loop):
                self._tap(sent.pcm, self._out.far.heard_at(sent))
            if isinstance(owner, Spoken):
                self._facts += owner.hear(sent.end)
                if owner.is_over:
                    self._settle()
            else:
                owner.heard = sent.end
                if isinstance(owner, Tones) and owner.is_over:
                    self._facts.append(TonesHeard(owner.name))

    def _settle(self) -> None:
        """Messages that are over leave; the next one is told to have begun."""
        while self._messages:
            spoken = self._messages[0]
            if spoken.sent and not spoken.has_begun:
                spoken.has_begun = True
                self._facts.append(Began(spoken.id))
            if not spoken.is_over:
                return
            self._messages.popleft()
            self._facts += spoken.finish()

    def _clear(self) -> None:
        now = self._now()
        self._listen(now)
        self._out.clear(now)

    def _find(self, message: str) -> Spoken | None:
        return next((spoken for spoken in self._messages if spoken.id == message), None)

    def _tell_all(self) -> None:
        """Tell in order, also when whoever is told calls back."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._facts:
                self._tell(self._facts.popleft())
        finally:
            self._is_telling = False

"""A telephone at the far end, in virtual time: it buffers what it is given, plays it at the pace of real time, and
sends marks back over a line that takes a while."""

from __future__ import annotations

from workers.voice.playout.facts import Began, Cut, Finished, PlayoutFact, TonesHeard, WordHeard
from workers.voice.playout.queue import Playout
from workers.voice.tts.base import WordTime

RATE = 8000
BYTES_A_MS = RATE * 2 // 1000


class FarPhone:
    """`delay` is one way, in ms; `echoes` False is a line that knows no marks."""

    def __init__(self, delay: float = 0.0, *, echoes: bool = True) -> None:
        self.now = 0.0
        self.delay = delay
        self.echoes = echoes
        self.ear = bytearray()
        """Everything the caller has heard."""
        self.given = bytearray()
        self.marks: list[str] = []
        self.clears = 0
        self.longest_wait = 0.0
        """The most sound that waited at the far end, in ms."""
        self.gaps: list[float] = []
        """Silences between two pieces of sound, in ms, when the far end had nothing."""
        self._waiting: list[bytes | str] = []
        self._went_dry: float | None = None
        self._on_its_way: list[tuple[float, str]] = []

    # the line

    def play(self, pcm: bytes) -> None:
        self.given += pcm
        if self._went_dry is not None and not self._waiting:
            self.gaps.append(self.now - self._went_dry)
        self._waiting += [pcm[at : at + 320] for at in range(0, len(pcm), 320)]
        self.longest_wait = max(self.longest_wait, 20.0 * sum(isinstance(one, bytes) for one in self._waiting))

    def mark(self, name: str) -> None:
        self.marks.append(name)
        self._waiting.append(name)

    def clear(self) -> None:
        self.clears += 1
        self._waiting.clear()

    # time

    def pass_frame(self) -> list[str]:
        """20 ms pass; returns the marks that have arrived."""
        self.now += 20
        while self._waiting and isinstance(self._waiting[0], str):
            self._echo()
        if self._waiting:
            frame = self._waiting.pop(0)
            assert isinstance(frame, bytes)
            self.ear += frame
            while self._waiting and isinstance(self._waiting[0], str):
                self._echo()
            self._went_dry = None if self._waiting else self.now
        arrived = [name for due, name in self._on_its_way if due <= self.now]
        self._on_its_way = [(due, name) for due, name in self._on_its_way if due > self.now]
        return arrived if self.echoes else []

    def _echo(self) -> None:
        name = self._waiting.pop(0)
        assert isinstance(name, str)
        self._on_its_way.append((self.now + 2 * self.delay, name))


class Line:
    """A playout and the phone at its far end; the `facts` as they were told."""

    def __init__(self, delay: float = 0.0, *, echoes: bool = True) -> None:
        self.phone = FarPhone(delay, echoes=echoes)
        self.facts: list[PlayoutFact] = []
        self.taps: list[tuple[float, bytes]] = []
        self.playout = Playout(
            RATE,
            self.phone,
            self.facts.append,
            lambda: self.phone.now,
            tap=lambda pcm, at: self.taps.append((at, pcm)),
        )

    def go(self, ms: float) -> None:
        """Let time pass, a tick every 20 ms."""
        for _ in range(int(ms / 20)):
            for mark in self.phone.pass_frame():
                self.playout.played(mark)
            self.playout.tick(self.phone.now)

    def say(self, message: str, words: str, ms_a_word: int = 200) -> None:
        """A message with all of its sound, words of one length and no pauses between them."""
        timed = spread(words, ms_a_word)
        self.playout.begin(message, words)
        self.playout.add(message, sound(len(timed) * ms_a_word, message), timed)
        self.playout.end(message)

    def heard_words(self, message: str) -> list[str]:
        return [fact.text for fact in self.facts if isinstance(fact, WordHeard) and fact.message == message]

    def ends(self) -> list[Finished | Cut]:
        return [fact for fact in self.facts if isinstance(fact, Finished | Cut)]

    def order(self) -> list[str]:
        """`began a`, `finished a`, `cut b`, …"""
        names = {Began: "began", Finished: "finished", Cut: "cut", TonesHeard: "tones"}
        return [
            f"{names[type(fact)]} {fact.name if isinstance(fact, TonesHeard) else fact.message}"
            for fact in self.facts
            if not isinstance(fact, WordHeard)
        ]


def spread(words: str, ms_a_word: int = 200) -> list[WordTime]:
    return [WordTime(word, at * ms_a_word / 1000, (at + 1) * ms_a_word / 1000) for at, word in enumerate(words.split())]


def sound(ms: float, seed: str = "") -> bytes:
    """Sound of which no two frames are alike, and none is silence; different for every seed."""
    first = sum(seed.encode()) % 200 + 20
    samples = int(ms * RATE / 1000)
    return b"".join(((first << 16 | at // 8) % 65521 + 1).to_bytes(2, "little") for at in range(samples))

"""What hears and speaks on the stage: at once, and what was really there; or badly, in every way that services have."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Literal

from omni.model.sound import SttConfig, VoiceConfig
from tests.voice.call.marked import WORD_MS, Lexicon, is_loud
from workers.voice.stt.base import OnPartial, SttError, Transcript
from workers.voice.tts.base import Sound, TtsError, WordTime

HearingFault = Literal["stall", "refuse", "bug", "rubbish", "late", "nothing"]
SpeakingFault = Literal["stall", "refuse", "cut", "freeze", "bug", "rubbish", "nothing", "slow"]
HEARING_FAULTS: tuple[HearingFault, ...] = ("stall", "refuse", "bug", "rubbish", "late", "nothing")
SPEAKING_FAULTS: tuple[SpeakingFault, ...] = ("stall", "refuse", "cut", "freeze", "bug", "rubbish", "nothing", "slow")
PATIENCE = 10.0
"""So long a speaker waits for its service (`workers.voice.tts.patience`)."""


class MarkVad:
    """Hears the caller's marked sound, and nothing else."""

    def probability(self, frame: bytes) -> float:
        return 0.98 if is_loud(frame) else 0.02

    def reset(self) -> None: ...


class MarkEars:
    def __init__(self, owner: MarkRecogniser, on_partial: OnPartial) -> None:
        self._owner = owner
        self._on_partial = on_partial
        self._frames: list[bytes] | None = None
        self.is_closed = False
        self.asked = 0

    @property
    def wants_silence(self) -> bool:
        return False

    def start(self) -> None:
        assert not self.is_closed, "closed ears hear nothing"
        self._frames = []

    def feed(self, pcm: bytes) -> None:
        assert not self.is_closed, "closed ears hear nothing"
        if self._frames is None:
            return
        self._frames.append(pcm)
        if self._owner.has_partials and len(self._frames) % 20 == 0:
            words = self._owner.lexicon.words(self._frames)
            self._on_partial(Transcript(" ".join(words), 0.6))

    async def so_far(self) -> Transcript:
        owner = self._owner
        frames = list(self._frames or ())
        owner.asked += 1
        self.asked += 1
        fault = owner.faults.popleft() if owner.faults else owner.fault
        if owner.on_ask is not None:
            owner.on_ask()
        if fault == "stall":
            await asyncio.Event().wait()
        elif fault == "late":
            await asyncio.sleep(2.5)
        elif fault == "refuse":
            raise SttError("the service is down")
        elif fault == "bug":
            raise RuntimeError("a defect of a recogniser")
        elif fault == "rubbish":
            return Transcript("\x00\ud800 🜁 " + "ha " * 50, float("nan"), "xx-not-a-language")
        elif fault == "nothing":
            return Transcript("")
        if owner.delay:
            await asyncio.sleep(owner.delay)
        return Transcript(" ".join(owner.lexicon.words(frames)), 0.9, "en")

    def stop(self) -> None:
        self._frames = None

    def change(self, config: SttConfig) -> bool:
        return False

    async def close(self) -> None:
        self.is_closed = True


class MarkRecogniser:
    name = "marks"

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.made: list[MarkEars] = []
        self.delay = 0.05
        self.has_partials = False
        self.fault: HearingFault | None = None
        self.faults: deque[HearingFault | None] = deque()
        self.asked = 0
        self.on_ask: Callable[[], None] | None = None

    async def open(self) -> None: ...

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> MarkEars:
        self.made.append(MarkEars(self, on_partial))
        return self.made[-1]

    def choose(self, config: SttConfig) -> tuple[MarkRecogniser, SttConfig]:
        return self, config

    async def close(self) -> None: ...


class MarkSpeaker:
    """Every word lasts 200 ms."""

    name = "marks"

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.fault: SpeakingFault | None = None
        self.faults: deque[SpeakingFault | None] = deque()
        self.said: list[str] = []
        self.at_work = 0
        self.delay = 0.0

    async def open(self) -> None: ...

    def choose(self, config: VoiceConfig) -> tuple[MarkSpeaker, VoiceConfig]:
        return self, config

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None: ...

    async def close(self) -> None: ...

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        self.at_work += 1
        try:
            self.said.append(text)
            fault = self.faults.popleft() if self.faults else self.fault
            if self.delay:
                await asyncio.sleep(self.delay)
            if fault == "stall":
                await asyncio.sleep(PATIENCE)
                raise TtsError("the service says nothing")
            if fault == "refuse":
                raise TtsError("the service is down")
            if fault == "bug":
                raise RuntimeError("a defect of a speaker")
            if fault == "nothing":
                return
            if fault == "slow":
                await asyncio.sleep(1.5)
            if fault == "rubbish":
                yield Sound(b"\x01", (WordTime("no", -5.0, float("inf")), WordTime("", 3.0, 1.0)))
                yield Sound(b"", ())
                yield Sound(bytes(321), (WordTime("such", 0.0, 0.0),))
                return
            for at, word in enumerate(text.split()):
                if at == 1 and fault == "cut":
                    raise TtsError("the service hung up")
                if at == 1 and fault == "freeze":
                    await asyncio.sleep(PATIENCE)
                    raise TtsError("the service says nothing more")
                time = WordTime(word, at * WORD_MS / 1000, (at + 1) * WORD_MS / 1000)
                yield Sound(b"".join(self.lexicon.sound(word)), (time,))
                await asyncio.sleep(0)
        finally:
            self.at_work -= 1

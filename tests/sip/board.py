"""A switchboard by hand: it takes calls as it is told, and keeps what it hears of them."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from channels.audio import Admitted, Ear, Leg, Refused
from omni.model.inbound import AnyInput, CallOffered, CallProgress


async def until(condition: Callable[[], bool], what: str = "", seconds: float = 20) -> None:
    """Wait until it is so."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"it did not happen in {seconds} s: {what or condition}") from None


def tone(hertz: float, seconds: float, *, rate: int = 8000, level: int = 8000) -> bytes:
    count = round(seconds * rate)
    return struct.pack(f"<{count}h", *(round(level * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count)))


def frames(pcm: bytes, size: int = 320) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


@dataclass
class Listener:
    """One call's ear. `plays` is what the bot says as soon as it is there, paced by nobody."""

    leg: Leg
    call: str
    heard_frames: list[tuple[float, bytes]] = field(default_factory=list)
    digits: str = ""
    marks: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    echoes: bool = False

    def heard(self, pcm: bytes, at: float) -> None:
        self.heard_frames.append((at, pcm))
        if self.echoes:
            self.leg.play(pcm)

    def pressed(self, digit: str) -> None:
        self.digits += digit

    def played(self, mark: str) -> None:
        self.marks.append(mark)

    def gone(self, reason: str) -> None:
        self.ends.append(reason)

    @property
    def pcm(self) -> bytes:
        return b"".join(pcm for _, pcm in self.heard_frames)


class Board:
    """`decide` answers an offer; `hears` is false where a call's sound is not wanted."""

    def __init__(self) -> None:
        self.offers: list[CallOffered] = []
        self.told: list[CallProgress] = []
        self.ears: dict[str, Listener] = {}
        self.decide: Callable[[CallOffered], Awaitable[Admitted | Refused]] | None = None
        self.hears = True
        self.plays: Iterable[bytes] = ()
        self.echoes = False
        self.tokens: dict[str, str] = {}

    async def offer(self, offered: CallOffered) -> Admitted | Refused:
        self.offers.append(offered)
        if self.decide is not None:
            return await self.decide(offered)
        self.tokens[offered.call] = f"token-{offered.call}"
        return Admitted(self.tokens[offered.call])

    def tell(self, command: AnyInput) -> None:
        assert isinstance(command, CallProgress)
        self.told.append(command)

    def connect(self, token: str, call: str, leg: Leg) -> Ear | None:
        if not self.hears:
            return None
        assert call not in self.ears, f"{call} has its sound twice"
        ear = self.ears[call] = Listener(leg, call, echoes=self.echoes)
        for pcm in self.plays:
            leg.play(pcm)
        return ear

    @property
    def only(self) -> Listener:
        assert len(self.ears) == 1, self.ears
        return next(iter(self.ears.values()))

    def statuses(self, call: str | None = None) -> list[str]:
        return [each.status for each in self.told if call in (None, each.call)]


def loudest(pcm: bytes, rate: int = 8000) -> tuple[float, float]:
    """The strongest frequency of a sound, and how far it is above all else, in dB."""
    import numpy as np

    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.blackman(len(samples)))) ** 2
    peak = int(spectrum[1:].argmax()) + 1
    width = 4
    signal = spectrum[max(peak - width, 0) : peak + width + 1].sum()
    rest = spectrum[1:].sum() - signal
    return peak * rate / len(samples), 10 * math.log10(signal / max(rest, 1e-9))

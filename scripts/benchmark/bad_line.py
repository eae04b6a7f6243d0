"""The section "a bad line": what loss and jitter do to what is heard.

Sentences go as packets of 20 ms through a network that loses some and delays each by another time, and through what
omni does with them: put in order, decoded, filled. The clock is reckoned, not waited for; recognition is real.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmark.figures import Section, at_most, paragraph, percentile, table
from benchmark.legs_browser import wide
from benchmark.plan import Plan
from benchmark.speech_phone import SENTENCES, spoken
from benchmark.voice_talk import line_noise
from channels.rtc.arrivals import Arrivals
from channels.rtc.codec import RATE as WIDE_RATE
from channels.rtc.codec import WIRE_RATE, WIRE_SAMPLES, Decoder, Encoder
from channels.sip import rtp
from omni.audio.g711 import mulaw_to_pcm
from omni.model.sound import SttConfig
from workers.voice.filling import Filling
from workers.voice.stt.whisper import Whisper

LINES: Final = ((0.0, 0), (0.05, 30), (0.1, 50), (0.2, 50), (0.0, 200), (0.2, 200))
"""Of packets, the part that is lost; and the most that one is delayed more than another, in ms."""
SEEDS: Final = (1, 2, 3)
_ENDING: Final = 15
"""Packets at the end whose waiting is not counted: on a line that goes on, others come behind them."""
_TURN_MS: Final = 1_000
"""How often what waits for a packet that never comes is let go."""

Heard = Callable[[bytes, float], None]


@dataclass
class Passed:
    """`waited`: for each packet, from its coming to its sound's going on, in ms."""

    waited: list[float] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    made: int = 0
    wrong: int = 0
    wrong_unfilled: int = 0
    """Where nothing is made up: sound joins sound."""
    words: int = 0


@dataclass(slots=True)
class Packet:
    """As `channels.rtc.arrivals` has it."""

    ssrc: int
    sequence_number: int
    timestamp: int
    payload: bytes


async def section(plan: Plan) -> Section:
    whisper = Whisper(workers=1, partial_every=0)
    await whisper.open()
    try:
        said = await spoken(SENTENCES[: plan.line_sentences])
        clips = [[*(base64.b64decode(frame) for frame in clip), *line_noise()] for clip in said]
        found = {
            kind: [await _line(whisper, kind, clips, loss, jitter, plan) for loss, jitter in LINES]
            for kind in ("sip", "webrtc")
        }
    finally:
        await whisper.close()
    return _report(found)


async def _line(
    whisper: Whisper, kind: str, clips: Sequence[Sequence[bytes]], loss: float, jitter: int, plan: Plan
) -> dict[str, Any]:
    passed = Passed()
    for seed in SEEDS[: plan.line_rounds]:
        dice = random.Random(seed)
        for sentence, clip in zip(SENTENCES, clips, strict=False):
            through = _by_sip if kind == "sip" else _by_browser
            rate, clock = await asyncio.to_thread(through, clip, loss, jitter, dice, passed)
            passed.words += len(_plain(sentence))
            passed.wrong += _wrong(sentence, await _recognised(whisper, clock.frames, rate))
            passed.wrong_unfilled += _wrong(sentence, await _recognised(whisper, clock.came_through, rate))
    passed.waited.sort()
    return {
        "loss": loss,
        "jitter_ms": jitter,
        "sent": passed.sent,
        "lost": passed.lost,
        "made": passed.made,
        "waited_p50_ms": percentile(passed.waited, 0.5),
        "waited_p95_ms": percentile(passed.waited, 0.95),
        "waited_worst_ms": max(passed.waited),
        "word_errors": passed.wrong / passed.words,
        "word_errors_unfilled": passed.wrong_unfilled / passed.words,
        "words": passed.words,
    }


def _arrivals(count: int, loss: float, jitter: int, dice: random.Random) -> list[tuple[float, int]]:
    """When each packet comes, in ms, and which it is; in the order of their coming."""
    came = [(number * 20 + dice.uniform(0, jitter), number) for number in range(count) if dice.random() >= loss]
    return sorted(came)


class _Clock:
    """Knows when each packet came, and hears when its sound goes on."""

    def __init__(self, filling: Filling, passed: Passed, packets: int) -> None:
        self.now = 0.0
        self._last = packets - _ENDING
        self.came: dict[int, float] = {}
        self.frames: list[bytes] = []
        self.came_through: list[bytes] = []
        self._filling = filling
        self._passed = passed

    def goes_on(self, number: int) -> None:
        if number < self._last:
            self._passed.waited.append(self.now - self.came[number])

    def heard(self, pcm: bytes, at: float) -> None:
        self.frames += [frame for frame, _ in self._filling.heard(pcm, at)]
        self.came_through.append(pcm)

    def lived_through(self, arrivals: Sequence[tuple[float, int]], release: Callable[[], None]) -> Iterator[int]:
        """Each packet as it comes; between them what waits is let go once a second."""
        turn = _TURN_MS
        for at, number in arrivals:
            while turn <= at:
                self.now = turn
                release()
                turn += _TURN_MS
            self.now = self.came[number] = at
            yield number
        self.now += _TURN_MS
        release()


def _by_sip(clip: Sequence[bytes], loss: float, jitter: int, dice: random.Random, passed: Passed) -> tuple[int, _Clock]:
    filling = Filling(8_000)
    clock = _Clock(filling, passed, len(clip))
    frames = rtp.Frames(clock.heard)

    def take(packet: rtp.Packet) -> None:
        clock.goes_on(packet.number)
        frames.take(mulaw_to_pcm(packet.payload), packet.stamp)

    order = rtp.InOrder(take)
    arrivals = _arrivals(len(clip), loss, jitter, dice)
    for number in clock.lived_through(arrivals, order.release):
        order.take(rtp.Packet(0, number, number * rtp.UNITS, 7, clip[number]))
    _add(passed, filling, len(clip), len(clock.frames) - filling.made)
    return 8_000, clock


def _by_browser(
    clip: Sequence[bytes], loss: float, jitter: int, dice: random.Random, passed: Passed
) -> tuple[int, _Clock]:
    encoder, decoder, filling = Encoder(), Decoder(), Filling(WIDE_RATE)
    clock = _Clock(filling, passed, len(clip))

    def take(payload: bytes, sample: int) -> None:
        clock.goes_on(numbers[payload])
        pcm = decoder.decode(payload)
        if pcm:
            clock.heard(pcm, sample * 1000 / WIRE_RATE)

    packets = [encoder.encode(wide(frame)) for frame in clip]
    numbers = {payload: number for number, payload in enumerate(packets)}
    arrivals = Arrivals(take)
    for number in clock.lived_through(_arrivals(len(clip), loss, jitter, dice), lambda: None):
        arrivals.add(Packet(7, number, number * WIRE_SAMPLES, packets[number]))
    encoder.close()
    decoder.close()
    _add(passed, filling, len(clip), len(clock.frames) - filling.made)
    return WIDE_RATE, clock


def _add(passed: Passed, filling: Filling, sent: int, heard: int) -> None:
    passed.sent += sent
    passed.lost += sent - heard
    passed.made += filling.made


async def _recognised(whisper: Whisper, frames: Sequence[bytes], rate: int) -> str:
    ears = whisper.ears(SttConfig(language="en"), rate, lambda _: None)
    try:
        ears.start()
        for frame in [*[bytes(rate // 50 * 2)] * 10, *frames, *[bytes(rate // 50 * 2)] * 10]:
            ears.feed(frame)
        return (await ears.so_far()).text
    finally:
        await ears.close()


def _wrong(said: str, heard: str) -> int:
    """Words that are wrong, missing or too many (Levenshtein)."""
    want, got = _plain(said), _plain(heard)
    row = list(range(len(got) + 1))
    for at, word in enumerate(want, 1):
        before, row[0] = row[0], at
        for place, other in enumerate(got, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


def _plain(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.lower()).split()


def _report(found: dict[str, list[dict[str, Any]]]) -> Section:
    text = (
        paragraph(
            """Sentences, each with a second of a quiet line behind it, in packets of 20 ms, recognised by Whisper.
            "Waited": from a packet's coming to its sound's going on; that is all the jitter buffer there is, since
            nobody but a recogniser listens. "Lost" counts what came too late as well; "made up" is what stands in its
            place, at most 60 ms in a row. "Words wrong": so, and as they would be if sound joined sound."""
        )
        + "\n\n"
        + table(
            ("", "loss", "jitter ms", "waited p50", "p95", "worst", "lost", "made up", "words wrong", "unfilled"),
            [
                [
                    kind,
                    f"{one['loss']:.0%}",
                    f"{one['jitter_ms']}",
                    f"{one['waited_p50_ms']:.0f}",
                    f"{one['waited_p95_ms']:.0f}",
                    f"{one['waited_worst_ms']:.0f}",
                    f"{one['lost'] / one['sent']:.1%}",
                    f"{one['made'] / one['sent']:.1%}",
                    f"{one['word_errors']:.1%}",
                    f"{one['word_errors_unfilled']:.1%}",
                ]
                for kind, lines in found.items()
                for one in lines
            ],
        )
    )
    targets = [
        at_most(f"{kind}: waiting on a line without jitter, p95", lines[0]["waited_p95_ms"], 0, "ms", 0)
        for kind, lines in found.items()
    ]
    return Section("A bad line", text, targets, found)

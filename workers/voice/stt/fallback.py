"""Recognisers one behind the other, as one more of the family: what the first cannot hear, the next is given.

A recogniser that failed is left alone for a while, by all calls, before it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from omni.model.sound import SttConfig
from workers.voice.stt.base import Ears, OnPartial, Recogniser, SttError, Transcript

log = logging.getLogger(__name__)

_DEADLINE: Final = 2.0
_REST: Final = 30.0
_FAILURES: Final = 2


@dataclass(slots=True)
class _Member:
    recogniser: Recogniser
    failures: int = 0
    rests_until: float = 0.0


class Fallback:
    """`members`, the best first. Each but the last has `deadline` seconds for a text. After `failures` in a row, in
    whatever calls, a member is skipped for `rest` seconds; then the next utterance tries it."""

    def __init__(
        self,
        members: Sequence[Recogniser],
        *,
        deadline: float = _DEADLINE,
        rest: float = _REST,
        failures: int = _FAILURES,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.members = [_Member(recogniser) for recogniser in members]
        self.name = members[0].name
        self.deadline = deadline
        self._rest = rest
        self._failures = failures
        self._ticks = ticks

    async def open(self) -> None:
        """All of them: one that is loaded when it is needed comes too late. Raises SttError when none can be."""
        errors = []
        for member in self.members:
            try:
                await member.recogniser.open()
            except SttError as error:
                log.error("%s cannot be used: %s", member.recogniser.name, error)
                self._break(member)
                errors.append(str(error))
        if len(errors) == len(self.members):
            raise SttError("; ".join(errors))

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> _Ears:
        return _Ears(self, config, rate, on_partial)

    async def close(self) -> None:
        for member in self.members:
            await member.recogniser.close()

    def first(self) -> int:
        """Who hears the next utterance: the first that does not rest, the last when all do."""
        now = self._ticks()
        return next((at for at, each in enumerate(self.members) if each.rests_until <= now), len(self.members) - 1)

    def worked(self, at: int) -> None:
        self.members[at].failures = 0

    def failed(self, at: int, why: str) -> None:
        member = self.members[at]
        member.failures += 1
        log.warning("%s did not hear an utterance: %s", member.recogniser.name, why)
        if member.failures >= self._failures:
            self._break(member)
            log.error("%s is left alone for %g s", member.recogniser.name, self._rest)

    def _break(self, member: _Member) -> None:
        member.rests_until = self._ticks() + self._rest


class _Ears:
    def __init__(self, family: Fallback, config: SttConfig, rate: int, on_partial: OnPartial) -> None:
        self._family = family
        self._config = config
        self._rate = rate
        self._on_partial = on_partial
        self._ears: dict[int, Ears] = {}
        self._at = 0
        self._pcm: bytearray | None = None
        self._ears_of(family.first())  # connects while nobody speaks yet

    @property
    def wants_silence(self) -> bool:
        return self._ears_of(self._at).wants_silence

    def start(self) -> None:
        self.stop()
        self._pcm = bytearray()
        self._at = self._family.first()
        self._ears_of(self._at).start()

    def feed(self, pcm: bytes) -> None:
        if self._pcm is not None:
            self._pcm += pcm
        self._ears_of(self._at).feed(pcm)

    async def so_far(self) -> Transcript:
        pcm = self._pcm
        if pcm is None:
            return Transcript("")
        while True:
            at = self._at
            is_last = at == len(self._family.members) - 1
            try:
                async with asyncio.timeout(None if is_last else self._family.deadline):
                    heard = await self._ears_of(at).so_far()
            except TimeoutError:
                why = f"no words within {self._family.deadline:g} s"
            except SttError as error:
                if is_last:
                    raise
                why = str(error)
            else:
                self._family.worked(at)
                return heard
            self._family.failed(at, why)
            if self._pcm is not pcm:  # the utterance ended in the meantime
                return Transcript("")
            self._hand_on(at + 1, bytes(pcm))

    def stop(self) -> None:
        self._pcm = None
        for ears in self._ears.values():
            ears.stop()

    def change(self, config: SttConfig) -> bool:
        self._config = config
        answers = [ears.change(self._config_of(at)) for at, ears in self._ears.items()]  # each of them is to know
        return all(answers)

    async def close(self) -> None:
        for ears in self._ears.values():
            await ears.close()

    def _hand_on(self, at: int, pcm: bytes) -> None:
        """The next one hears the utterance, from its beginning to its end."""
        self._ears_of(self._at).stop()
        self._at = at
        ears = self._ears_of(at)
        ears.start()
        frame = self._rate // 50 * 2
        for begin in range(0, len(pcm), frame):
            ears.feed(pcm[begin : begin + frame])

    def _ears_of(self, at: int) -> Ears:
        if at not in self._ears:
            recogniser = self._family.members[at].recogniser

            def tell(transcript: Transcript) -> None:
                if self._at == at:
                    self._on_partial(transcript)

            self._ears[at] = recogniser.ears(self._config_of(at), self._rate, tell)
        return self._ears[at]

    def _config_of(self, at: int) -> SttConfig:
        """A model's name means something to its own provider only."""
        if at == 0:
            return self._config
        return self._config.model_copy(update={"provider": self._family.members[at].recogniser.name, "model": None})

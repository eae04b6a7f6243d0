"""A business with a telephone: a whole server that hears and speaks by itself, the stand-in for Twilio, and another
pair of ears for what was heard and recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
import numpy as np

from channels.phone.addresses import STATUS_PATH, VOICE_PATH
from channels.twilio.simulator import Person, SimulatedCall, Simulator, SimulatorSettings, Step, running
from omni.app.engines import Engines, engines
from omni.app.server import Server
from omni.app.speech import Speech
from omni.audio.g711 import mulaw_to_pcm
from omni.audio.pcm import mix, separate
from omni.audio.wav import wav_of
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import CallRecorded, Entry
from omni.settings import Settings
from sessions.commands import Commands
from tests.server.shop import until
from tests.voice.stt.speech import RATE, errors, said
from workers.voice.stt.decoder import Utterance, load_decoder, sure

NUMBER: Final = "+12025550142"
ADA: Final = "+12025550171"
ACCOUNT: Final = "AC" + "5" * 32
TOKEN: Final = "an-auth-token-0f9b7731"
GREETING: Final = "Hello, this is the front desk."
PATIENCE: Final = 60.0
"""Seconds after which something that has not happened is taken for lost; nothing here is timed."""

ECHO: Final = {"when": "(?s).*", "say": "You said: {{ text }}"}


def agent_of(slug: str = "desk", **more: Any) -> Agent:
    """An agent that repeats what it hears, unless `more` says otherwise, and whose calls are recorded."""
    line = {"kind": "phone", "number": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN}
    audio = {"media": {"recording": True}, **more.pop("audio", {})}
    return Agent.model_validate(
        {
            "slug": slug,
            "brain": "script",
            "language": "en",
            "script": [ECHO],
            "channels": [line],
            "audio": audio,
            **more,
        }
    )


@dataclass(slots=True)
class Office:
    """`engines` are the test's own look at what the server stores."""

    twilio: Simulator
    api_url: str
    server: Server
    settings: Settings
    engines: Engines
    commands: Commands
    http: aiohttp.ClientSession

    def calls(self, script: Sequence[Step] = (), *, from_: str = ADA, **person: Any) -> SimulatedCall:
        """Somebody calls the business."""
        call = self.twilio.calls.place(
            from_, person=Person(script=tuple(script), **person), url=f"{self.server.url}{VOICE_PATH}"
        )
        call.callback = f"{self.server.url}{STATUS_PATH}"
        return call

    async def over(self, call: SimulatedCall) -> Call:
        """The call, when both sides and the log know that it is over."""
        await self.twilio.calls.over(call, timeout=240.0)
        return await until(partial(self._ended, call.sid), PATIENCE)

    async def _ended(self, id_: str) -> Call | None:
        found = await self.engines.store.call(id_)
        return found if found is not None and not found.is_open else None

    async def call(self, call: SimulatedCall) -> Call:
        """As the server has it, once it has."""
        return await until(partial(self.engines.store.call, call.sid), PATIENCE)

    async def log(self, call: SimulatedCall) -> list[Entry]:
        return await self.engines.store.entries(call.sid, limit=1_000)

    async def facts(self, call: SimulatedCall, *kinds: str) -> list[Any]:
        """Those of some types, in the order of the log."""
        return [entry.fact for entry in await self.log(call) if not kinds or entry.fact.type in kinds]

    async def logged(self, call: SimulatedCall, kind: str, number: int = 1) -> list[Any]:
        """The facts of a type, once there are so many."""

        async def look() -> list[Any] | None:
            found = await self.facts(call, kind)
            return found if len(found) >= number else None

        return await until(look, PATIENCE)

    async def recorded(self, call: SimulatedCall) -> tuple[bytes, bytes]:
        """The recording of a call that is over: the caller's side, and ours."""
        (kept,) = await self.facts(call, "call.recording")
        assert isinstance(kept, CallRecorded)
        wav = b"".join([piece async for piece in self.engines.blobs.read(kept.blob)])
        assert kept.sample_rate == RATE
        return separate(wav[44:])


@asynccontextmanager
async def opened(folder: Any, *agents: Agent, speech: Speech | None = None, **settings: Any) -> AsyncIterator[Office]:
    told = SimulatorSettings(account_sid=ACCOUNT, auth_token=TOKEN, number=NUMBER, port=0)
    async with running(told) as (twilio, api_url), aiohttp.ClientSession() as http:
        wanted = Settings(
            port=0,
            twilio_api_url=api_url,
            agents=agents or (agent_of(),),
            **{"store_url": f"sqlite:///{folder}/omni.db", "sqlite_sync": "normal", "partitions": 2, **settings},
        )
        server = Server(wanted, speech=speech)
        await server.start()
        try:
            async with engines(wanted) as found:
                await until(lambda: found.store.leases("voice:", now=time.time()), PATIENCE)
                commands = Commands(found.store, found.bus, wanted.partitions)
                yield Office(twilio, api_url, server, wanted, found, commands, http)
        finally:
            await server.stop()


# what people say, and what is heard of it


def wav(pcm: bytes) -> bytes:
    return wav_of(pcm, RATE)


def says(text: str, **when: float) -> Step:
    """Somebody says it, with Piper's voice, over a telephone."""
    return Step(wav=wav(said(text)), **when)


def murky(text: str, *, noise_db: float, speed: float) -> bytes:
    """The same, faster and in a noisy place."""
    pcm = said(text, speed=speed)
    return mix(pcm, noise(len(pcm) / 2 / RATE, noise_db))


def noise(seconds: float, db: float, seed: int = 5) -> bytes:
    """White, so loud (dBov)."""
    level = 32768 * 10 ** (db / 20)
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE)).clip(-32768, 32767).astype("<i2").tobytes()


async def quiet(call: SimulatedCall) -> None:
    """The caller has heard everything, and says nothing more."""
    await until(lambda: call.streams and call.stream.heard.voiced_ms > 0, PATIENCE)
    await until(lambda: not call.caller.is_speaking and call.stream.heard.quiet_ms > 500, PATIENCE)


async def passes(call: SimulatedCall, seconds: float) -> None:
    """So much more of the call's sound."""
    end = len(call.caller.said) + seconds * RATE
    await until(lambda: len(call.caller.said) >= end, PATIENCE)


def played(call: SimulatedCall, stream: int = -1) -> bytes:
    """What the person heard."""
    return mulaw_to_pcm(bytes(call.streams[stream].heard.played))


def _parts(pcm: bytes, pause: float = 0.7) -> list[bytes]:
    """The stretches of sound between pauses."""
    size = RATE // 50
    frames = np.frombuffer(pcm[: len(pcm) // (2 * size) * 2 * size], "<i2").astype(np.float32).reshape(-1, size)
    loud = np.flatnonzero((frames**2).mean(axis=1) > (32768 * 10 ** (-45 / 20)) ** 2)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > pause * 50)
    starts, ends = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]]
    return [
        pcm[max(0, int(start) - 10) * size * 2 : (int(end) + 10) * size * 2]
        for start, end in zip(starts, ends, strict=True)
    ]


async def recognised(pcm: bytes) -> list[str]:
    """What Whisper makes of it, a text for each stretch of sound."""

    def hear(part: bytes) -> str:
        found = load_decoder(None, 2).hear(Utterance(part, RATE, language="en"), lambda: True)
        return sure(found)[0]

    return [text for part in _parts(pcm) if (text := await asyncio.to_thread(hear, part))]


def error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Words wrong, missing or too many, of all that should have been heard; each pair is printed."""
    wrong = words = 0
    for wanted, heard in pairs:
        bad, of = errors(wanted, heard)
        print(f"  {bad:2}/{of:2}  {wanted!r}  heard as  {heard!r}")
        wrong, words = wrong + bad, words + of
    print(f"word error rate: {wrong / words:.1%} of {words} words")
    return wrong / words

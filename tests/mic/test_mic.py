"""A terminal talks to an agent: the leg, the socket, and `omni mic` with files instead of devices."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.mic.leg import FRAME, MicLeg
from omni.app.server import Server
from omni.app.speech import Speech
from omni.cli.mic.speaker import Speaker as Played
from omni.model.agent import Agent, ScriptRule
from omni.settings import Settings
from tests.mic import instant

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-this-test"
AGENT = Agent(
    slug="clock",
    brain="script",
    greeting="Hello.",
    script=(ScriptRule(when="bye", say="Goodbye.", end=True), ScriptRule(when=".*", say="Noon.")),
)


class Ear:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def heard(self, pcm: bytes, at: float) -> None:
        self.told.append((len(pcm), at))

    def pressed(self, digit: str) -> None:
        self.told.append(digit)

    def played(self, mark: str) -> None:
        self.told.append(mark)

    def gone(self, reason: str) -> None:
        self.told.append(reason)


def test_sound_of_any_length_is_heard_in_frames_of_20_ms() -> None:
    ear, leg = Ear(), MicLeg(lambda item: None, lambda: None)
    leg.listen(ear)
    for size in (1, FRAME - 1, FRAME + 3, FRAME - 3):
        leg.take(bytes(size))
    assert ear.told == [(FRAME, 0), (FRAME, 20), (FRAME, 40)]


def test_a_mark_from_before_a_clear_does_not_count() -> None:
    sent: list[Any] = []
    ear, leg = Ear(), MicLeg(sent.append, lambda: None)
    leg.listen(ear)
    leg.mark("m1")
    leg.clear()
    leg.returned("m1")
    leg.mark("m2")
    leg.returned("m2")
    leg.returned("m2")
    assert ear.told == ["m2"]
    assert [item["type"] for item in sent] == ["mark", "clear", "mark"]


@pytest.mark.parametrize("hangs_up", [True, False])
def test_the_end_is_told_once_and_not_to_whoever_hung_up(hangs_up: bool) -> None:
    closed: list[bool] = []
    ear, leg = Ear(), MicLeg(lambda item: None, lambda: closed.append(True))
    leg.listen(ear)
    if hangs_up:
        leg.hang_up()
        leg.hang_up()
    leg.end("lost")
    leg.end("lost")
    assert ear.told == ([] if hangs_up else ["lost"])
    assert closed == ([True] if hangs_up else [])


def test_a_terminal_plays_in_order_and_says_what_it_has_played() -> None:
    speaker = Played()
    speaker.sound(b"\1" * 800)
    speaker.mark("first")
    speaker.sound(b"\2" * 480)
    assert speaker.next_frame() == (b"\1" * 640, [])
    frame, marks = speaker.next_frame()
    assert (frame, marks) == (b"\1" * 160 + b"\2" * 480, ["first"])
    speaker.sound(b"\3" * 640)
    speaker.mark("gone")
    speaker.clear()
    assert speaker.next_frame() == (bytes(640), [])
    assert not speaker.is_playing


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    settings = Settings(
        port=0, store_url=f"sqlite:///{tmp_path}/omni.db", api_key=KEY, agents=(AGENT,), log_level="warning"
    )
    speech = Speech(instant.Recogniser(), instant.Speaker(), lambda rate: instant.LoudVad())
    server = Server(settings, speech=speech)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def dial(server: Server) -> AsyncIterator[Callable[..., Any]]:
    """Opens a socket to `/mic`."""
    async with aiohttp.ClientSession() as session:

        async def opened(key: str = KEY) -> aiohttp.ClientWebSocketResponse:
            return await session.ws_connect(f"{server.url}/mic", headers={"Authorization": f"Bearer {key}"})

        yield opened


async def log_of(server: Server, call: str, until: str) -> list[dict[str, Any]]:
    """The call's log, once it has an entry of this type."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session, asyncio.timeout(30):
        while True:
            async with session.get(f"{server.url}/v1/calls/{call}/events") as answer:
                entries = (await answer.json())["entries"] if answer.status == 200 else []
            if any(entry["type"] == until for entry in entries):
                return list(entries)
            await asyncio.sleep(0.02)


async def test_a_terminal_is_greeted_heard_and_answered(server: Server, dial: Callable[..., Any]) -> None:
    socket = await dial()
    await socket.send_json({"type": "start", "agent": "clock"})
    ready = await socket.receive_json(timeout=30)
    assert ready["type"] == "ready"
    frames = 0
    said = False
    async with asyncio.timeout(30):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                frames += len(message.data) // FRAME
            elif json.loads(message.data)["type"] == "mark":
                await socket.send_json({"type": "played", "name": json.loads(message.data)["name"]})
            if frames >= 10 and not said:  # the greeting is out
                said = True
                for second in (instant.tone(16_000, 1.0), bytes(32_000), bytes(32_000)):
                    await socket.send_bytes(second)
                await socket.send_json({"type": "key", "digit": "7"})
            if frames >= 20:
                break
    await socket.close()
    entries = await log_of(server, ready["call"], "call.summary")
    types = [entry["type"] for entry in entries]
    assert types[0] == "call.started"
    assert [entry["data"]["text"] for entry in entries if entry["type"] == "user.message"] == ["What time is it?"]
    assert [entry["data"]["text"] for entry in entries if entry["type"] == "bot.speaking"] == ["Hello.", "Noon."]
    assert "call.dtmf_received" in types


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ({"type": "start", "agent": "nobody"}, "there is no agent 'nobody'"),
        ({"type": "key", "digit": "1"}, "the first frame must be"),
        ({"agent": 5}, "the first frame must be"),
    ],
)
async def test_who_says_something_else_first_is_told_why_nothing_comes_of_it(
    dial: Callable[..., Any], first: dict[str, Any], words: str
) -> None:
    socket = await dial()
    await socket.send_json(first)
    refused = await socket.receive_json(timeout=30)
    assert refused["type"] == "refused"
    assert words in refused["error"]
    assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
    await socket.close()


async def test_nobody_talks_without_a_key(dial: Callable[..., Any]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await dial("wrong")
    assert refused.value.status == 401


async def test_rubbish_in_the_middle_harms_nothing(server: Server, dial: Callable[..., Any]) -> None:
    socket = await dial()
    await socket.send_json({"type": "start", "agent": "clock"})
    ready = await socket.receive_json(timeout=30)
    for rubbish in ("{", "[]", '{"type":"key","digit":"x"}', '{"type":"played","name":"never"}', "null"):
        await socket.send_str(rubbish)
    await socket.send_bytes(b"\1")
    await socket.send_json({"type": "key", "digit": "1"})
    entries = await log_of(server, ready["call"], "call.dtmf_received")
    assert not any(entry["type"] == "call.ended" for entry in entries)
    await socket.close()


async def test_omni_mic_says_a_file_and_writes_what_it_heard(server: Server, tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    with wave.open(str(said), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000) + instant.tone(16_000, 0.8) + bytes(32_000))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omni", "mic", "clock", "--wav", str(said), "--out", str(heard)),
        *("--quiet", "0.5", "--server", server.url, "--api-key", KEY),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    call = told.decode().partition(":")[0]
    entries = await log_of(server, call, "call.summary")
    assert [entry["data"]["text"] for entry in entries if entry["type"] == "bot.speaking"] == ["Hello.", "Noon."]
    assert "you are through to clock" in told.decode()
    with wave.open(str(heard), "rb") as file:
        pcm = file.readframes(file.getnframes())
    frames = [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]
    assert sum(frame.startswith(instant.LOUD) for frame in frames) >= 18, (
        "greeting and answer, a fifth of a second each"
    )


async def test_omni_mic_tells_in_a_sentence_what_is_in_its_way(server: Server, tmp_path: Path) -> None:
    async def told(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "omni", "mic", *words, "--server", server.url, "--api-key", KEY),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, stderr = await process.communicate()
        assert process.returncode != 0
        return stderr.decode()

    no_wav = tmp_path / "no.wav"
    no_wav.write_bytes(b"no sound")
    assert "cannot be said" in await told("clock", "--wav", str(no_wav))
    assert "--out goes with --wav" in await told("clock", "--out", str(no_wav))

"""Listening in over the network: who may, what they hear, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from omni.audio.g711 import mulaw_to_pcm
from omni.audio.pcm import separate
from omni.gateway.streams.watching import Pulse
from omni.live.sound import PIECE_BYTES
from tests.live.line import AGENT
from tests.streams.tower import Tower
from tests.voice.listening.test_monitor import monitor_of, talk, until
from workers.voice.listening.monitor import Tap

PATIENCE = 20.0
ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def spoken(tower: Tower, call_id: str = "CA1") -> AsyncIterator[Tap]:
    """A call that goes on, with its sound."""
    await tower.line(call_id)
    async with monitor_of(tower.bus) as monitor:
        yield monitor.tap(call_id, 8000)


@asynccontextmanager
async def listener(tower: Tower, call_id: str, secret: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {secret}"}
    async with tower.http.ws_connect(f"{tower.url}/v1/calls/{call_id}/listen", headers=headers) as ws:
        yield ws


async def refused(tower: Tower, call_id: str, secret: str) -> int | None:
    async with listener(tower, call_id, secret) as ws, asyncio.timeout(PATIENCE):
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        return ws.close_code


async def test_a_listener_hears_the_call_to_its_end_and_it_is_written_down(tower):
    async with spoken(tower) as tap, listener(tower, "CA1", await tower.key()) as ws:
        async with asyncio.timeout(PATIENCE):
            header = await ws.receive_json()
        assert header == {
            "type": "sound",
            "call": "CA1",
            "encoding": "mulaw",
            "rate": 8000,
            "channels": 2,
            "left": "caller",
            "right": "bot",
            "frame_ms": 100,
        }
        await until(lambda: "CA1" in tap._wanted)
        talk(tap, 0, 1000, bot=(0, 1000))
        tap.close()
        sound = b""
        async with asyncio.timeout(PATIENCE):
            async for message in ws:
                sound += message.data
        assert ws.close_code == 1000
        left, right = separate(mulaw_to_pcm(sound))
        assert len(sound) == 9 * PIECE_BYTES
        assert {round(int(one) / 100) for one in np.frombuffer(left, "<i2")} == {10}
        assert {round(int(one) / 100) for one in np.frombuffer(right, "<i2")} == {20}
    audit = await tower.store.audit("default", limit=10)
    assert [(record.action, record.target, record.name) for record in audit] == [
        ("call.listen", "CA1", "the key of default")
    ]


async def test_two_listeners_hear_the_same(tower):
    async with spoken(tower) as tap:
        key, token = await tower.key(), tower.token(AGENT, scope="observe")
        async with listener(tower, "CA1", key) as one, listener(tower, "CA1", token) as two:
            for ws in (one, two):
                async with asyncio.timeout(PATIENCE):
                    await ws.receive_json()
            await until(lambda: "CA1" in tap._wanted)
            talk(tap, 0, 500)
            async with asyncio.timeout(PATIENCE):
                assert await one.receive_bytes() == await two.receive_bytes()


async def test_who_may_not_listen_is_told_why(tower):
    line = await tower.line("CA1")
    assert await refused(tower, "CA1", "pk_wrong") == 4401
    assert await refused(tower, "CA1", await tower.key("another")) == 4404
    assert await refused(tower, "CA1", tower.token("other-agent", scope="observe")) == 4403
    assert await refused(tower, "CA1", tower.token(AGENT, scope="participate", call="CA1")) == 4403
    assert await refused(tower, "nothing", await tower.key()) == 4404
    assert await refused(tower, "x" * 500, await tower.key()) == 4404
    await line.end()
    assert await refused(tower, "CA1", await tower.key()) == 4409
    assert await tower.store.audit("default", limit=10) == []


@pytest.mark.parametrize("look_seconds", [0.05], indirect=True)
async def test_a_call_whose_worker_died_does_not_keep_its_listeners(tower, look_seconds):
    line = await tower.line("CA1")
    async with listener(tower, "CA1", await tower.key()) as ws, asyncio.timeout(PATIENCE):
        await ws.receive_json()
        await line.append(*line.ending)
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1000


@pytest.mark.parametrize("pulse", [Pulse(ping=3600.0, patience=0.2)], indirect=True)
async def test_a_listener_that_does_not_read_is_let_go_and_the_call_goes_on(tower):
    async with spoken(tower) as tap, listener(tower, "CA1", await tower.key()) as ws:
        async with asyncio.timeout(PATIENCE):
            await ws.receive_json()
        await until(lambda: "CA1" in tap._wanted)
        assert ws._conn is not None
        ws._conn.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ws._conn.transport.pause_reading()
        at = 0
        async with asyncio.timeout(PATIENCE):
            while tower.bus._topics._listeners.get("sound:CA1"):
                talk(tap, at, at + 2000)
                at += 2000
                await asyncio.sleep(0)
        ws._conn.transport.abort()


async def test_the_command_writes_a_file(tower, tmp_path):
    async with spoken(tower) as tap:
        process = await command(tower, tmp_path, "CA1", "--wav", "out.wav", key=await tower.key())
        await until(lambda: "CA1" in tap._wanted)
        talk(tap, 0, 1020)
        tap.close()
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 2, 7200)
        left, right = separate(file.readframes(7200))
    assert {round(int(one) / 100) for one in np.frombuffer(left, "<i2")} == {10}
    assert right == bytes(len(right))


async def test_the_command_plays_into_a_pipe_and_says_what_is_wrong(tower, tmp_path):
    async with spoken(tower) as tap:
        key = await tower.key()
        process = await command(tower, tmp_path, "CA1", key=key)
        await until(lambda: "CA1" in tap._wanted)
        talk(tap, 0, 520)
        tap.close()
        out, err = await process.communicate()
        assert (process.returncode, err, len(out)) == (0, b"", 4 * 3200)
        process = await command(tower, tmp_path, "nothing", key=key)
        _, err = await process.communicate()
        assert process.returncode == 2
        assert err == b"omni: there is no such call\n"


async def command(tower: Tower, folder: Path, *words: str, key: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omni", "calls", "listen", *words, "--server", tower.url, "--api-key", key),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

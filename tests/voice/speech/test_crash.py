"""A server that dies in the middle of a call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from channels.phone.addresses import VOICE_PATH
from channels.twilio.simulator import Person, SimulatorSettings, running
from omni.app.engines import engines
from omni.settings import Settings
from tests.ports import free_ports
from tests.server.shop import OURS, ROOT, until
from tests.voice.speech.office import ACCOUNT, ADA, NUMBER, PATIENCE, TOKEN, agent_of
from tests.voice.speech.test_interrupting import LONG

KEY = "a-key-of-the-tests"


async def serving(folder: Path, port: int) -> asyncio.subprocess.Process:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omni", "serve",
        cwd=folder, env={**variables, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(each) for each in found.read_text().split()]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked at in /proc")
async def test_a_call_whose_server_was_killed_is_told_as_over(speech_models: None, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    told = SimulatorSettings(account_sid=ACCOUNT, auth_token=TOKEN, number=NUMBER, port=0)
    async with running(told) as (twilio, api_url), aiohttp.ClientSession() as http:
        settings: dict[str, Any] = {
            "port": port,
            "api_key": KEY,
            "twilio_api_url": api_url,
            "store_url": f"sqlite:///{tmp_path}/omni.db",
            "partitions": 2,
        }
        agent = agent_of(greeting=LONG).model_dump(mode="json", exclude_defaults=True)
        secrets = {"account_sid": ACCOUNT, "auth_token": TOKEN}
        agent["channels"] = [{"kind": "phone", "number": NUMBER, **secrets}]
        (tmp_path / "omni.yaml").write_text(yaml.safe_dump({**settings, "agents": [agent]}))

        async def is_ready() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"{url}/ready") as answer:
                    return answer.status == 200
            return False

        async def shown(id_: str) -> dict[str, Any]:
            async with http.get(f"{url}/v1/calls/{id_}", headers={"Authorization": f"Bearer {KEY}"}) as answer:
                return {"http": answer.status, **await answer.json()}

        server = await serving(tmp_path, port)
        try:
            await until(is_ready, PATIENCE)
            await until(lambda: children(server.pid), PATIENCE)  # the voice is there
            call = twilio.calls.place(ADA, person=Person(), url=f"{url}{VOICE_PATH}")
            await until(lambda: call.streams and call.stream.heard.voiced_ms > 1_000, PATIENCE)
            print(before := await shown(call.sid))
            voices = children(server.pid)
            server.kill()
            await server.wait()
            await twilio.calls.over(call, timeout=PATIENCE)
            assert not call.caller.left
            await until(lambda: not any(is_alive(each) for each in voices), PATIENCE)

            # The alarm clock rings a minute after the call's worker was heard of for the last time: it is that late.
            async with engines(Settings(**{**settings, "agents": ()})) as found:
                known = await found.store.call(call.sid)
                assert known is not None
                assert known.is_open
                assert known.wake_at is not None
                assert known.wake_at - time.time() <= 60
                assert await found.store.rest_call(call.sid, time.time(), was=known.wake_at)

            server = await serving(tmp_path, port)
            await until(is_ready, PATIENCE)

            async def is_over() -> dict[str, Any] | None:
                now = await shown(call.sid)
                return now if now["status"] != before["status"] else None

            print(after := await until(is_over, PATIENCE))
            assert after["http"] == 200
            assert "error" in str(after)
        finally:
            with contextlib.suppress(ProcessLookupError):
                server.terminate()
            await server.wait()

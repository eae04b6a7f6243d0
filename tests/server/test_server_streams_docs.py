"""The commands of docs/streams.md, as its readers run them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.shop import PATIENCE, Shop, agent_of

ROOT = Path(__file__).resolve().parents[2]
KEY = "pk_the_key_of_the_settings"


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs/streams.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


async def run(*words: str, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, (words, out, err)
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_every_command_of_the_page_does_what_it_says(open_shop: Any, embedded: dict[str, Any]) -> None:
    shop: Shop = await open_shop(embedded, agent_of("desk"), api_key=KEY)
    shop.say("hello")
    call = await shop.call()
    await shop.arrived()
    await shop.commands.end(call, "test")
    await shop.logged("call.summary")
    env = {**os.environ, "OMNI": shop.url, "OMNI_KEY": KEY, "CALL": call.id}
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("curl")]
    assert len(commands) == 7
    for command in commands:
        if "/v1/agents/" in command and "event-stream" in command:  # it never ends
            said = await run("bash", "-c", f"{command} --max-time 1 || test $? = 28", env=env)
            assert said.startswith("retry: 1000\n\n")
            continue
        said = await run("bash", "-c", command, env=env)
        if "event-stream" in command:
            assert said.startswith("retry: 1000\n\nid: 1\nevent: call.started\ndata: {")
            assert "event: call.summary\n" in said
        elif "/stream/token" in command:
            assert json.loads(said)["token"].startswith("str_")
        else:
            assert json.loads(said)["entries"]
    [program] = blocks("python")
    lines = (await run(sys.executable, "-c", program, env=env)).splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert (types[0], types[-2:]) == ("call.started", ["call.summary", "log.caught_up"])

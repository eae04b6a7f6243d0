"""Every command of docs/api.md does what the page says, and the page has every call that there is."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from omni.gateway.rest.openapi import PATH
from tests.rest.conftest import OPEN
from tests.rest.house import KEY, SMS_LINE, House
from tests.rest.test_developers import Receiver, receiver  # noqa: F401 - a fixture
from tests.server.conftest import OpenShop
from tests.server.shop import NUMBER, agent_of, until
from tests.server.test_server_inbound import PNG

PAGE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")
BLOCKS = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "curl" in block]
COMMANDS = [command for block in BLOCKS for command in re.split(r"(?m)^(?=curl )", block) if command.strip()]
LAST = ("-X DELETE", "/end")
"""What takes away what other commands ask about."""
SPOKEN = ("$CALL/say", "$CALL/hold", "$CALL/mute", "$CALL/keys", "$CALL/forward")
"""The page's call is in writing."""


async def run(command: str, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, (command, out, err)
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_every_command_of_the_page_does_what_it_says(
    embedded: dict[str, Any],
    open_shop: OpenShop,
    receiver: Receiver,  # noqa: F811
) -> None:
    desk = agent_of("desk")
    house = House(await open_shop(embedded, desk, api_key=KEY, **OPEN))
    await house.post("/v1/agents/desk/channels", SMS_LINE)
    conversation = await house.conversation()
    other = await house.conversation("hello", "12025550172")
    path = f"/v1/conversations/{conversation['id']}/messages"
    image = house.shop.simulator.media.put(NUMBER, "image/png", PNG, filename=None, owner="user")
    house.shop.does({"type": "image", "media_id": image.id})

    async def stored() -> Any:
        messages = (await house.get(path))["data"]
        return next((one for one in messages for part in one["parts"] if part.get("url")), None)

    picture = await until(stored)
    webhook = await house.post("/v1/webhooks", {"url": receiver.url})
    await house.conversation("hello", "12025550173")

    async def told() -> Any:
        found = (await house.get(f"/v1/webhooks/{webhook['id']}/deliveries", status="success"))["data"]
        return found[0] if found else None

    delivery = await until(told)
    env = {
        **os.environ,
        "OMNI": house.shop.url,
        "OMNI_KEY": KEY,
        "CONVERSATION": conversation["id"],
        "MESSAGE": (await house.get(path))["data"][-1]["id"],
        "PICTURE": picture["id"],
        "CALL": conversation["call_id"],
        "CONTACT": conversation["contact"]["id"],
        "OTHER": other["contact"]["id"],
        "WEBHOOK": webhook["id"],
        "DELIVERY": delivery["id"],
        "KEY_ID": (await house.post("/v1/keys", {"name": "k"}))["id"],
        "YOUR_SERVER": receiver.url,
    }
    ordered = sorted(COMMANDS, key=lambda command: any(word in command for word in LAST))
    for command in ordered:
        said = await run(command, env)
        if "/export" in command:
            assert json.loads(said.splitlines()[-1]) == {"object": "end"}
        elif "/recording" in command:
            assert json.loads(said)["error"]["code"] == "no_recording"
        elif any(word in command for word in SPOKEN):
            assert json.loads(said)["error"]["code"] == "not_spoken"
        elif '"record": true' in command:
            assert json.loads(said)["error"]["code"] == "contradiction", "the page's agent has no number"
        elif "-o /dev/null" not in command:
            assert "error" not in (body := json.loads(said)) or body["error"] is None, said


async def test_the_page_shows_every_call_there_is(house: House) -> None:
    document = await house.get(PATH)
    shown = {(_method(command), _path(command)) for command in COMMANDS}
    for path, operations in document["paths"].items():
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for method in operations:
            assert any(how == method and pattern.fullmatch(where) for how, where in shown), f"{method} {path}"


def _method(command: str) -> str:
    named = re.search(r"-X ([A-Z]+)", command)
    return named.group(1).lower() if named else "post" if " -d " in command else "get"


def _path(command: str) -> str:
    found = re.search(r'"\$OMNI(/[^"?]*)', command)
    assert found is not None, command
    return found.group(1)

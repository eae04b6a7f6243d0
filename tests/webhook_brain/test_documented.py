"""What the documentation says of webhooks: its bot runs as printed, and its tables are true."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from omni.model.webhook_brain import WebhookSettings
from sessions.brains.webhook.reply import reply_of
from tests.ports import free_port
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of, until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "write-a-bot.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Point a webhook at it")[2].partition("\n## ")[0]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None
    return found[1]


def table(head: str) -> list[list[str]]:
    lines = SECTION[SECTION.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[int]:
    """The port of the printed bot, in a process of its own."""
    port = free_port()
    file = tmp_path / "bot.py"
    file.write_text(block("python").replace("9000", str(port)))
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(file), cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.DEVNULL
    )

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await until(listens)
    yield port
    child.terminate()
    await child.wait()


async def test_the_printed_bot_answers_as_the_printed_agent(
    open_shop: OpenShop, embedded: dict[str, Any], bot: int
) -> None:
    (printed,) = yaml.safe_load(block("yaml"))
    printed["webhook"]["url"] = printed["webhook"]["url"].replace("9000", str(bot))
    shop = await open_shop(embedded, agent_of(**{**printed, "script": []}))
    shop.say("hello")
    assert await shop.answers(1) == ["Let me look. You said: hello"]


async def test_the_printed_bot_believes_nobody_else(bot: int) -> None:
    url = f"http://127.0.0.1:{bot}/turn"
    async with aiohttp.ClientSession() as anybody, anybody.post(url, json={"data": {"message": "hi"}}) as answer:
        assert answer.status == 500


def test_the_table_of_settings_is_complete_and_true() -> None:
    rows = {name.strip("`"): default for name, default, _ in table("under `webhook` | default")}
    assert rows.keys() == WebhookSettings.model_fields.keys()
    for name, default in rows.items():
        is_ = WebhookSettings.model_fields[name].default
        assert default == ("none" if is_ is None else f"{is_:g}" if isinstance(is_, int | float) else is_)


def test_what_the_table_of_answers_names_is_understood() -> None:
    named = [name for name, _ in table("in the answer")]
    assert named == [
        "`text`",
        "`interim: true`",
        "`send_message: {body}`",
        "`action: transfer`",
        "`action: handoff`",
        "`hangup: true`, `action: hangup`",
        "`digits`",
    ]
    everything: dict[str, Any] = {
        "text": "a",
        "send_message": {"body": "b"},
        "action": "transfer",
        "hangup": True,
        "digits": "1",
    }
    reply = reply_of({**everything, "interim": True})
    assert reply.notes == ()
    assert reply.closes
    assert reply.beside is not None
    assert (reply.transfers, reply.hangs_up, reply.digits) == (True, True, "1")

"""A program that answers texts, through the server's own SDK."""

from __future__ import annotations

import asyncio

from omni import Call, Omni
from omni.sdk import events
from tests.server.shop import PATIENCE
from tests.sms.conftest import OpenDesk
from tests.sms.desk import ADA, NUMBER, agent_of

KEY = "ok_test_0123456789abcdef0123"


async def test_a_program_answers_texts_of_its_number(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of("desk", brain="client", script=[]), api_key=KEY)
    bot = Omni(desk.server.url, KEY)
    heard: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
    agent = bot.agent("desk")
    agent.add_channel("sms", "+1 (202) 555-0142")

    @agent.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        heard.put_nowait((call.transport, call.from_, turn.text))
        await call.reply(f"{turn.text}, by a program")

    await bot.start()
    desk.simulator.texts(ADA, "who is it")
    assert await desk.answers() == ["who is it, by a program"]
    assert await heard.get() == ("sms", ADA[1:], "who is it")
    await bot.close()


async def test_a_program_cannot_name_an_account(open_desk: OpenDesk) -> None:
    desk = await open_desk(api_key=KEY)
    bot = Omni(desk.server.url, KEY)
    refused: asyncio.Queue[str] = asyncio.Queue()
    agent = bot.agent("stranger")
    agent.add_channel("sms", NUMBER)
    agent.on("error", lambda error, *_: refused.put_nowait(str(error)))
    await bot.start()
    assert "give +12025550142 to this agent in omni.yaml first" in await asyncio.wait_for(refused.get(), PATIENCE)
    await bot.close()

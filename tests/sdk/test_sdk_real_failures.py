"""Programs whose connection, server or own process dies in the middle of a turn: one answer, and nothing lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from omni import Call, Omni, tool
from omni.sdk import events
from omni.sdk.agent import Agent
from tests.brains.llm_server import calls, says
from tests.sdk.house import NUMBER, SECRETS, House, until


class Thinking:
    """A model that stops in the middle of its first answer until the test lets it go on."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.may_go_on = asyncio.Event()

    async def tokens(self, turn: events.Turn) -> AsyncIterator[str]:
        self.turns.append(turn.text)
        yield "Answer "
        if len(self.turns) == 1:
            await self.may_go_on.wait()
        yield f"to: {turn.text}"

    def answers(self, agent: Agent) -> None:
        agent.on("turn.end", lambda turn, call: call.reply_stream(turn).pipe(self.tokens(turn)))


async def nothing_more(house: House) -> None:
    """A later message is answered, and before its answer came nothing that nobody asked for."""
    before = len(await house.reads(0))
    house.writes("and now?")
    texts = await house.reads(before + 1)
    assert len(texts) == before + 1
    assert texts[-1].endswith("and now?")


async def test_a_connection_cut_in_the_middle_of_a_turn(bot: Omni, concierge: Agent, house: House) -> None:
    model = Thinking()
    model.answers(concierge)
    await bot.start()
    house.writes("hello")
    await until(lambda: model.turns)
    house.door.cut()
    await until(lambda: not bot.is_connected)
    house.writes("are you there?")  # while nobody listens
    house.door.restore()
    texts = await house.reads(1)
    assert texts == ["Answer to: hello\nare you there?"]
    model.may_go_on.set()
    await nothing_more(house)


async def test_a_connection_cut_while_a_whole_reply_is_being_thought_of(
    bot: Omni, concierge: Agent, house: House
) -> None:
    turns: list[str] = []
    back = asyncio.Event()

    @concierge.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        turns.append(turn.text)
        if len(turns) == 1:
            await back.wait()
        call.reply(f"Answer {len(turns)} to: {turn.text}")

    await bot.start()
    house.writes("hello")
    await until(lambda: turns)
    house.door.cut()
    await until(lambda: not bot.is_connected)
    house.door.restore()
    await until(lambda: bot.is_connected)
    await concierge.ready()
    back.set()
    assert await house.reads(1) == ["Answer 1 to: hello"]
    await nothing_more(house)
    assert len(turns) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_server_that_dies_in_the_middle_of_a_turn(
    bot: Omni, concierge: Agent, house: House, how: signal.Signals
) -> None:
    model = Thinking()
    model.answers(concierge)
    begun: list[Call] = []
    concierge.on("whatsapp.started", begun.append)
    await bot.start()
    house.writes("hello")
    await until(lambda: model.turns)
    await house.kill(how)
    house.writes("are you there?")  # WhatsApp brings it again until somebody takes it
    await house.open()
    texts = await house.reads(1)
    if texts == ["Answer to: hello"]:  # the second message came when that was said already
        texts = await house.reads(2)
    assert "\n".join(texts).count("hello") == 1
    assert "\n".join(texts).count("are you there?") == 1
    model.may_go_on.set()
    await nothing_more(house)
    assert len(begun) == 1  # the call went on: it did not begin again


async def test_a_server_that_dies_under_many_conversations(bot: Omni, concierge: Agent, house: House) -> None:
    concierge.on("turn.end", lambda turn, call: call.reply(f"Answer to: {turn.text}"))
    await bot.start()
    people = [f"3460000{number:04}" for number in range(24)]
    for person in people:
        house.writes(f"hello from {person}", person)
    await house.reads(1, people[0])
    await house.kill()
    for person in people:
        house.writes(f"again from {person}", person)
    await house.open()
    for person in people:
        texts: list[str] = []
        while f"again from {person}" not in "\n".join(texts):
            texts = await house.reads(len(texts) + 1, person)
        said = "\n".join(texts)
        assert said.count(f"hello from {person}") == 1, texts
        assert said.count(f"again from {person}") == 1, texts


async def test_a_tool_goes_on_over_a_cut_and_its_result_counts(bot: Omni, house: House) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    runs = 0

    @tool
    async def slow() -> str:
        """Takes long."""
        nonlocal runs
        runs += 1
        begun.set()
        await may_end.wait()
        return "found it"

    agent = bot.agent("desk", llm="openai/test", tools=[slow])
    agent.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)
    house.llm.will(calls(("slow", "{}")), says("It is here."))
    await bot.start()
    house.writes("where is it?")
    await begun.wait()
    house.door.cut()
    await until(lambda: not bot.is_connected)
    may_end.set()  # while nobody can be told
    await asyncio.sleep(0)
    house.door.restore()
    assert await house.reads(1) == ["It is here."]
    (result,) = [one["content"] for one in house.llm.requests[1]["messages"] if one["role"] == "tool"]
    assert (result, runs) == ("found it", 1)


BOT = """
import asyncio, os
from omni import Omni

omni = Omni()
desk = omni.agent("desk")
desk.add_channel("whatsapp", **{key: os.environ["WHATSAPP_" + key.upper()] for key in
    ("phone_number_id", "access_token", "app_secret", "verify_token")})
desk.on("channel.added", lambda: print("ready", flush=True))

@desk.on("turn.end")
async def answer(turn, call):
    print("turn", turn.text, flush=True)
    if "hangs" in os.environ:
        await asyncio.Event().wait()
    call.reply("Answer to: " + turn.text)

omni.run()
"""


async def test_a_bot_that_is_killed_in_the_middle_of_a_turn_is_followed_by_another(house: House) -> None:
    async def start(**variables: str) -> asyncio.subprocess.Process:
        environment = {**house.variables(), **variables}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", BOT, env=environment, stdout=asyncio.subprocess.PIPE
        )

    first = await start(hangs="yes")
    assert first.stdout is not None
    assert await first.stdout.readline() == b"ready\n"
    house.writes("hello")
    assert await first.stdout.readline() == b"turn hello\n"
    first.kill()
    await first.communicate()
    second = await start()
    try:
        assert await house.reads(1) == ["Answer to: hello"]
    finally:
        second.terminate()
        await second.communicate()
    assert second.returncode == 0

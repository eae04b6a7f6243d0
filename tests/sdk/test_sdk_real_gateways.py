"""A program whose gateway dies in the middle of a turn, while another gateway of the same server lives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omni import Call
from omni.sdk import events
from tests.ports import free_ports
from tests.sdk.house import NUMBER, SECRETS, empty_house, program, until


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_the_other_gateway_takes_the_program_and_its_turn(
    tmp_path: Path, rabbitmq_url: str, rabbitmq_prefix: str, mongo_url: str
) -> None:
    engines = {
        "OMNI_BUS_URL": rabbitmq_url,
        "OMNI_BUS_PREFIX": rabbitmq_prefix.rstrip("."),
        "OMNI_STORE_URL": mongo_url,
        "OMNI_PARTITIONS": "2",
    }
    lives, dies, session, delivery = free_ports(4)
    processes: list[asyncio.subprocess.Process] = []
    may_go_on = asyncio.Event()
    turns: list[str] = []

    async def tokens(turn: events.Turn) -> AsyncIterator[str]:
        turns.append(turn.text)
        yield "Answer "
        if len(turns) == 1:
            await may_go_on.wait()
        yield f"to: {turn.text}"

    async with empty_house(tmp_path, lives) as house:
        bot = program(house)
        try:
            for port, role in ((session, "session"), (delivery, "delivery"), (lives, "gateway"), (dies, "gateway")):
                processes.append(await house.serve(port, role, **engines))
            house.lead_to(dies)
            desk = bot.agent("desk")
            desk.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)

            @desk.on("turn.end")
            async def answer(turn: events.Turn, call: Call) -> None:
                await call.reply_stream(turn).pipe(tokens(turn))

            await bot.start()
            house.writes("hello")
            await until(lambda: turns)
            house.lead_to(lives)
            processes[-1].kill()
            assert await house.reads(1) == ["Answer to: hello"]
            may_go_on.set()
            house.writes("and now?")
            assert await house.reads(2) == ["Answer to: hello", "Answer to: and now?"]
        finally:
            await bot.close()
            for process in processes:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
            for process in processes:
                await process.wait()

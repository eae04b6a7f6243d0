"""Many calls that end at every moment leave nothing."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest

from channels.audio import Order
from omni.model.channel import PhoneChannel
from tests.sip.board import until
from tests.sip.caller import calling
from tests.sip.conftest import NUMBER, OpenSip, trunk

LINE = PhoneChannel(number=NUMBER, trunk="pbx")


def sockets() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(200)])])
async def test_calls_that_end_at_every_moment_leave_nothing(open_sip: OpenSip, count: int) -> None:
    one = await open_sip(trunk(max_calls=1000, invites_per_minute=100_000), scale=0.05)
    other = await open_sip(
        trunk(host=f"127.0.0.1:{one.port()}", max_calls=1000, invites_per_minute=100_000), scale=0.05
    )
    lot = random.Random(count)
    await asyncio.sleep(0)
    before = (sockets(), len(asyncio.all_tasks()))

    async def call() -> None:
        id_ = await other.carrier.dial(Order(LINE, NUMBER, NUMBER, "token"))
        await asyncio.sleep(lot.random() * 0.3)
        if lot.random() < 0.5 and one.board.ears:
            lot.choice(list(one.board.ears.values())).leg.hang_up()
        await other.carrier.hang_up(LINE, id_)

    for start in range(0, count, 20):
        await asyncio.gather(*(call() for _ in range(min(20, count - start))))
        for sip in (one, other):
            sip.board.ears.clear()
    for sip in (one, other):
        await until(lambda sip=sip: not sip.calls and not sip.service.agent.busy, "all calls are over", 60)  # type: ignore[misc]
        await until(lambda sip=sip: len(sip.service.agent.transactions) == 0, "all transactions are over", 30)  # type: ignore[misc]
        await until(lambda sip=sip: not sip.service.agent._dialogs and not sip.service.agent._tasks, "and dialogs", 30)  # type: ignore[misc]
    gc.collect()
    await until(lambda: (sockets(), len(asyncio.all_tasks())) <= before, f"{before}: sockets and tasks are back")


async def test_a_call_that_is_under_way_when_we_stop_is_ended(open_sip: OpenSip) -> None:
    sip = await open_sip(scale=0.2)
    async with calling(sip.port()) as caller:
        assert (await caller.call()).status == 200
        await until(lambda: bool(sip.board.ears))
        stopping = asyncio.create_task(sip.service.close())
        while not (message := await caller.receive()).line.startswith("BYE"):
            pass
        kept = [f"{name}: {message.header(name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        caller.send("SIP/2.0 200 OK\r\n" + "\r\n".join(kept) + "\r\nContent-Length: 0\r\n\r\n")
        await stopping
        assert sip.board.only.ends == ["hangup"]
        assert sip.service.agent.busy == set()


async def test_while_we_drain_calls_go_on_and_no_new_one_is_taken(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller, calling(sip.port()) as late:
        assert (await caller.call()).status == 200
        await sip.service.drain()
        assert (await late.call()).status == 486
        assert sip.board.only.ends == []
        assert (await caller.bye()).status == 200
    await sip.at_rest()

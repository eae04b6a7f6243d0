"""Voice workers as processes of their own: whichever has room takes a call, what is asked of it finds it there, and one
that is drained, cut off or killed takes nothing of the others with it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from omni.model.entry import BotFinished, CallEnded, HandoffActive, HumanSaid, UserSaid
from omni.model.inbound import PressKeys
from omni.model.message import Message
from omni.model.queues import commands, inbound
from tests.server.exchange import exchange
from tests.server.shop import Proxy, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(240), pytest.mark.xdist_group("voices")]

ADA, BOB, CYD = "+12025550171", "+12025550172", "+12025550173"
ProxyTo = Callable[[str, int], Awaitable[Proxy]]


async def test_calls_go_where_there_is_room_and_what_is_asked_of_them_goes_there_too(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    async with exchange(tmp_path, services, "voice-1", "voice-2", max_calls=1) as town:
        ada, bob = await asyncio.gather(town.talks(ADA), town.talks(BOB))
        assert await ada.home() != await bob.home()
        assert {ada.worker, bob.worker} == {"voice-1", "voice-2"}
        await asyncio.gather(ada.says("Where are you?"), bob.says("When do you open?"))
        cyd = town.rings(CYD)
        await cyd.over()
        assert cyd.call.status == "busy", "everybody is taken"
        for line in (ada, bob):
            call = await line.document()
            await town.commands.pause(call, "ann")
            await line.logged(HandoffActive)
            await town.commands.send(call, "ann", Message.of("A colleague is here."))
            await line.logged(HumanSaid)
            await line.hears("A colleague is here.")
            keys = {**town.commands.head(call), "digits": "42", "by": "ann"}
            await town.commands.issue(PressKeys.model_validate(keys))
            await town.commands.end(call, "ann")
            await line.over()
            (ended,) = await line.logged(CallEnded)
            assert ended.reason == "hangup"
        await (await town.talks(CYD)).leaves()


async def test_a_worker_that_is_asked_to_stop_keeps_its_caller_and_takes_no_other(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    async with exchange(tmp_path, services, "voice-1", manner=["impatient"]) as town:
        ada = await town.talks(ADA)
        town.signal("voice-1")
        bob = town.rings(BOB)
        await bob.over()
        assert bob.call.status == "busy"
        await asyncio.sleep(9)  # longer than a server that waits for nobody, and than an unkept lease
        await ada.says("Are you still there?")
        call = await ada.document()
        assert call.is_open
        await town.commands.send(call, "ann", Message.of("We are."), takes_over=False)
        await ada.hears("We are.")
        await ada.leaves()
        assert await town.ended("voice-1", 15) == 0
        (ended,) = await ada.logged(CallEnded)
        assert ended.reason == "hangup"


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_call_that_goes_on_for_too_long_is_ended_with_its_worker(
    tmp_path: Path, services: dict[str, Any], hurried: bool
) -> None:
    async with exchange(tmp_path, services, "voice-1", drain_calls=600 if hurried else 2) as town:
        ada = await town.talks(ADA)
        town.signal("voice-1")
        if hurried:
            await ada.says("Are you still there?")
            town.signal("voice-1")
        assert await town.ended("voice-1", 20) == 0
        assert (await ada.over()).status == "completed"
        assert await ada.logged(CallEnded)


async def test_a_worker_that_is_killed_takes_its_own_calls_only(tmp_path: Path, services: dict[str, Any]) -> None:
    async with exchange(tmp_path, services, "voice-1", "voice-2", max_calls=2, manner=["impatient"]) as town:
        lines = [await town.talks(who) for who in (ADA, BOB)]
        victim = lines[0].worker
        lost = [line for line in lines if line.worker == victim]
        kept = [line for line in lines if line not in lost]
        town.signal(victim, signal.SIGKILL)
        await town.ended(victim)
        call = await lost[0].document()
        await town.commands.pause(call, "ann")
        await town.commands.end(call, "ann")
        cyd = await town.talks(CYD)
        await cyd.says("Is anybody there?")
        for line in lost:
            (ended,) = await line.logged(CallEnded)
            assert ended.reason == "error"
        for line in kept:
            await line.says("I am still here.")
        await town.commands.end(await lost[0].document(), "ann")
        call = await cyd.document()
        await town.commands.end(call, "ann")
        await cyd.over()

        async def is_empty() -> bool:
            names = [queue(n).name for queue in (commands, inbound) for n in range(2)]
            depths = [await town.engines.bus.depth(name) for name in names]
            return not any(depth.ready or depth.taken for depth in depths)

        await until(is_empty)


async def test_nobody_answers_where_no_worker_lives(tmp_path: Path, services: dict[str, Any]) -> None:
    async with exchange(tmp_path, services, "voice-1") as town:
        town.signal("voice-1", signal.SIGKILL)
        await town.ended("voice-1")
        ada = town.rings(ADA)
        await ada.over()
        assert ada.call.status == "busy"
        await town.start("voice-1")
        await (await town.talks(ADA)).leaves()


@pytest.mark.parametrize("cut", ["bus", "store"])
async def test_a_caller_notices_nothing_of_an_engine_that_is_away(
    tmp_path: Path, services: dict[str, Any], proxy_to: ProxyTo, cut: str
) -> None:
    key = "bus_url" if cut == "bus" else "store_url"
    real = URL(services[key])
    assert real.host is not None
    proxy = await proxy_to(real.host, real.port or (5672 if cut == "bus" else 27017))
    door = real.with_host("127.0.0.1").with_port(proxy.port)
    if cut == "store":
        door = door.update_query(directConnection="true")
    variables = {"voice-1": {f"OMNI_{key.upper()}": str(door)}}
    async with exchange(tmp_path, services, "voice-1", variables=variables) as town:
        ada = await town.talks(ADA)
        await ada.says("One.")
        proxy.cut()
        for word in ("Two.", "Three."):
            await ada.says(word)
            await asyncio.sleep(4)
        proxy.restore()
        await ada.logged(BotFinished, 4)
        await ada.says("Four.")
        await ada.logged(BotFinished, 5)
        assert [fact.text for fact in await ada.logged(UserSaid, 4)] == ["One.", "Two.", "Three.", "Four."]
        assert ada.heard.count("You said") == 4
        call = await ada.document()
        await town.commands.send(call, "ann", Message.of("A colleague is here."))
        await ada.hears("A colleague is here.")
        await ada.leaves()
        (ended,) = await ada.logged(CallEnded)
        assert ended.reason == "hangup"

"""Commands: each is on the queue of the partition that owns its call when the method returns."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni.bus.sqlite import SqliteBus
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.inbound import EndCall, Pause, PauseAgent, PausePerson, Resume, SendMessage, unpack
from omni.model.message import Message
from omni.model.queues import commands, commands_for, every_queue
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.commands import Commands

PARTITIONS = 4
HOME = "whatsapp:default:44790"
CALL = Call(
    id="wa-1", agent="desk", channel="whatsapp:100", transport="whatsapp", conversation="c", contact="ct-1", home=HOME,
    started_at=1.0,
)  # fmt: skip


class Desk:
    def __init__(self, path: Path) -> None:
        self.file = SqliteFile(path, sync="normal")
        self.store, self.bus = SqliteStore(self.file), SqliteBus(self.file)
        count = itertools.count(1)
        self.commands = Commands(
            self.store, self.bus, PARTITIONS, clock=lambda: 7.0, make_id=lambda prefix: f"{prefix}-{next(count)}"
        )

    async def queued(self, expected: int = 1) -> list[tuple[str, Any]]:
        """(queue, input) of what was published, taken from every partition."""
        found: list[tuple[str, Any]] = []
        enough = asyncio.Event()

        def take(received: Any) -> None:
            found.extend((received.queue, item) for item in unpack(received.body))
            received.ack()
            if len(found) >= expected:
                enough.set()

        consumers = [await self.bus.consume(commands(n), take, prefetch=10) for n in range(PARTITIONS)]
        async with asyncio.timeout(10):
            await enough.wait()
        for consumer in consumers:
            await consumer.stop()
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "omni.db")
    await desk.store.open()
    await desk.bus.open()
    await desk.bus.declare(every_queue(PARTITIONS))
    yield desk
    await desk.bus.close()
    await desk.store.close()


async def test_commands_to_a_call_go_to_its_partition_in_order(desk: Desk) -> None:
    await desk.commands.pause(CALL, "ann")
    await desk.commands.send(CALL, "ann", Message.of("hi"), takes_over=False)
    await desk.commands.resume(CALL, "ann", note="done")
    await desk.commands.end(CALL, "ann")
    queued = await desk.queued(4)
    assert {queue for queue, _ in queued} == {commands_for(HOME, PARTITIONS).name}
    pause, send, resume, end = (item for _, item in queued)
    assert isinstance(pause, Pause)
    assert isinstance(send, SendMessage)
    assert isinstance(resume, Resume)
    assert isinstance(end, EndCall)
    assert (pause.call, pause.home, pause.by, pause.at) == ("wa-1", HOME, "ann", 7.0)
    assert (send.message.text, send.takes_over) == ("hi", False)
    assert (resume.note, end.reason) == ("done", "hangup")
    assert len({item.key for _, item in queued}) == 4


async def test_pause_of_a_person_goes_to_their_home(desk: Desk) -> None:
    ana = Contact(id="ct-1", home=HOME, identities=(Identity(kind=IdentityKind.PHONE, value="44790"),))
    await desk.commands.pause_person(ana, "desk", "ann", paused=True)
    ((queue, item),) = await desk.queued()
    assert queue == commands_for(HOME, PARTITIONS).name
    assert isinstance(item, PausePerson)
    assert (item.contact, item.paused, item.by) == ("ct-1", True, "ann")


@pytest.mark.parametrize("paused", [True, False])
async def test_pause_of_an_agent_is_kept_and_told_to_every_partition(desk: Desk, paused: bool) -> None:
    await desk.store.save_agent(Agent(slug="desk", is_paused=not paused))
    async with desk.bus.listen("agents") as changes:
        assert await desk.commands.pause_agent("default", "desk", "ann", paused=paused)
        async with asyncio.timeout(10):
            assert await anext(changes) == b"default/desk"
    agent = await desk.store.agent("default", "desk")
    assert agent is not None
    assert agent.is_paused is paused
    queued = await desk.queued(PARTITIONS)
    assert {queue for queue, _ in queued} == {commands(n).name for n in range(PARTITIONS)}
    assert all(isinstance(item, PauseAgent) and item.paused is paused for _, item in queued)
    assert len({item.key for _, item in queued}) == PARTITIONS, "every partition acts on its own copy"


async def test_pause_of_an_agent_that_does_not_exist_is_refused(desk: Desk) -> None:
    assert not await desk.commands.pause_agent("default", "nobody", "ann", paused=True)

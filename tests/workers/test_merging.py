"""Two records are said to be one person while that person writes: the conversation goes on in one place, and whoever
has it on our side is not talked over from another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import Consumer
from omni.model.contact import Contact, Sender
from omni.model.entry import UserSaid
from omni.model.ids import partition_of
from omni.model.queues import commands, inbound
from tests.workers.test_session_worker import AGENT, PARTITIONS, Scene, person, until
from workers.session import SessionWorker


def somebody_in(partition: int) -> Sender:
    return next(one for one in map(person, range(1, 99)) if partition_of(one.routing, PARTITIONS) == partition)


KEPT, GONE = somebody_in(1), somebody_in(0)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "omni.db")
    await scene.open(AGENT)
    yield scene
    await scene.close()


async def record_of(scene: Scene, who: Sender) -> Contact:
    (found,) = await scene.store.find_contacts("default", who.identities)
    return found


async def is_one_conversation(scene: Scene) -> bool:
    contact = await record_of(scene, KEPT)
    if contact != await record_of(scene, GONE):
        return False
    open_ = await scene.calls(is_open=True)
    return [call.contact for call in open_] == [contact.id] and open_[0].conversation.endswith(contact.id)


async def test_a_call_that_begins_while_its_record_goes_is_not_left_behind(scene: Scene) -> None:
    """Their first message is being written down when the record is merged away."""
    await scene.listen()
    await scene.begin()
    await scene.hear("hello", KEPT)
    await until(lambda: scene.sent)
    append, merge, looked = scene.store.append, scene.store.merge_contacts, scene.store.calls
    has_begun, has_merged, has_looked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_append(step: Any) -> None:
        if step.entries[0].seq == 1:
            has_begun.set()
            await has_merged.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):  # as long as whoever merges may look for calls to end
                    await has_looked.wait()
        await append(step)

    async def then_go_on(keep: Contact, gone: str) -> Contact:
        saved = await merge(keep, gone)
        has_merged.set()
        return saved

    async def look(*args: Any, **more: Any) -> Any:
        found = await looked(*args, **more)
        if has_merged.is_set():
            has_looked.set()
        return found

    scene.store.append, scene.store.merge_contacts, scene.store.calls = slow_append, then_go_on, look  # type: ignore[method-assign]
    await scene.hear("hello from my other phone", GONE)
    await has_begun.wait()
    await scene.commands.merge_people(await record_of(scene, KEPT), await record_of(scene, GONE), "op_ana")
    await until(lambda: _said(scene, "hello from my other phone"))
    await until(lambda: is_one_conversation(scene))


async def test_a_call_that_is_written_to_while_its_record_goes_is_not_left_behind(scene: Scene) -> None:
    """The step that was under way knew the old record, and writes it into the call once more."""
    await scene.listen()
    await scene.begin()
    for who in (KEPT, GONE):
        await scene.hear("hello", who)
    await until(lambda: len(scene.sent) == 2)
    await until(scene.is_quiet)
    append, merge = scene.store.append, scene.store.merge_contacts
    has_begun, may_go, is_done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_append(step: Any) -> None:
        if not is_done.is_set():
            has_begun.set()
            await may_go.wait()
            await append(step)
            is_done.set()
        else:
            await append(step)

    async def then_let_go(keep: Contact, gone: str) -> Contact:
        saved = await merge(keep, gone)
        may_go.set()
        await is_done.wait()
        return saved

    scene.store.append, scene.store.merge_contacts = slow_append, then_let_go  # type: ignore[method-assign]
    await scene.hear("and another thing", GONE)
    await has_begun.wait()
    await scene.commands.merge_people(await record_of(scene, KEPT), await record_of(scene, GONE), "op_ana")
    await until(lambda: is_one_conversation(scene))


class OfOnePartition(SessionWorker):
    """A worker of a process that has this partition; another process has the other."""

    def __init__(self, scene: Scene, partition: int) -> None:
        super().__init__(scene.world(), sweep=60)
        self._own = partition

    async def start(self) -> None:
        begun: list[Consumer] = self._consumers
        for queue in (commands(self._own), inbound(self._own)):
            begun.append(await self._world.bus.consume(queue, self._take, prefetch=self._prefetch))


async def test_the_bot_is_silent_for_whoever_was_merged_into_a_conversation_that_a_colleague_has(scene: Scene) -> None:
    """The record that the operator wanted to keep is the one that goes, for Ann has the other; it is well known to
    another process."""
    await scene.listen()
    for partition in (0, 1):
        worker = OfOnePartition(scene, partition)
        await worker.start()
        scene.workers.append(worker)
    for who in (KEPT, GONE):
        await scene.hear("hello", who)
    await until(lambda: len(scene.sent) == 2)
    await until(scene.is_quiet)
    keep, gone = await record_of(scene, KEPT), await record_of(scene, GONE)
    theirs = next(call for call in await scene.calls() if call.contact == gone.id)
    await scene.commands.pause(theirs, "ann")
    await until(lambda: _is_anns(scene, theirs.id))
    await scene.commands.merge_people(keep, gone, "op_ana")
    await until(lambda: _is_gone(scene, keep.id))
    await until(lambda: is_one_conversation(scene))
    await scene.hear("it is me again", KEPT)
    await until(scene.is_quiet)
    said = [entry.fact for entry in await scene.store.entries(theirs.id) if isinstance(entry.fact, UserSaid)]
    assert [fact.text for fact in said] == ["hello", "it is me again"]
    assert scene.texts() == ["re: hello"] * 2, "Ann has it"
    assert await is_one_conversation(scene)


async def _said(scene: Scene, text: str) -> bool:
    return text in {fact.text for fact in await scene.facts(UserSaid)}


async def _is_anns(scene: Scene, call_id: str) -> bool:
    call = await scene.store.call(call_id)
    return call is not None and call.handled_by == "ann"


async def _is_gone(scene: Scene, contact_id: str) -> bool:
    return await scene.store.contact(contact_id) is None

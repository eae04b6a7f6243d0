"""Somebody on our side writes first: to a stranger, or to somebody whose conversation has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import Outgoing
from omni.model.behaviour import Overrides
from omni.model.contact import Sender, known_by
from omni.model.entry import CallConfigured, CallStarted, HumanSaid
from omni.model.inbound import ForgetPerson, Opening, WriteTo, pack
from omni.model.message import Message
from omni.model.queues import commands_for
from tests.workers.test_session_worker import AGENT, CHANNEL, PARTITIONS, Scene, until

BEA = Sender(identities=known_by("12025550143"), routing="whatsapp:default:12025550143")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "omni.db")
    await scene.open(AGENT)
    await scene.listen()
    yield scene
    await scene.close()


def written(scene: Scene, text: str, key: str = "w-1", **more: Any) -> WriteTo:
    head = {"key": key, "agent": "desk", "channel": CHANNEL, "at": scene.now(), "person": BEA, "by": "key:k"}
    return WriteTo(**{**head, "message": Message.of(text), **more})


async def publish(scene: Scene, item: WriteTo | ForgetPerson, home: str) -> None:
    await scene.bus.publish([Outgoing(commands_for(home, PARTITIONS).name, pack((item,)), item.key)])


async def test_a_message_to_a_stranger_opens_an_outbound_call_and_acts_once(scene: Scene) -> None:
    await scene.begin()
    opening, overrides = Opening(metadata={"order": "7"}), Overrides(vars={"who": "Bea"})
    for _ in range(2):
        await publish(
            scene,
            written(scene, "hello", opening=opening, overrides=overrides, tag="t", message_id="msg_7"),
            BEA.routing,
        )
    await until(lambda: scene.texts() == ["hello"])
    [call] = await scene.calls()
    [started] = await scene.facts(CallStarted)
    [configured] = await scene.facts(CallConfigured)
    [said] = await scene.facts(HumanSaid)
    assert (call.direction, call.handler, call.conversation.endswith(call.contact)) == ("outbound", "bot", True)
    assert (started.direction, started.to, started.metadata) == ("outbound", "12025550143", {"order": "7"})
    assert configured.overrides.vars == {"who": "Bea"}
    assert (said.id, said.text, said.by, said.tag) == ("msg_7", "hello", "key:k", "t")
    assert scene.sent[0].to.identities[0].value == "12025550143"


async def test_who_answers_a_message_that_came_first_is_answered_in_its_call(scene: Scene) -> None:
    await scene.begin()
    await publish(scene, written(scene, "hello"), BEA.routing)
    await until(lambda: scene.texts() == ["hello"])
    await scene.hear("hi", BEA)
    await until(lambda: scene.texts() == ["hello", "re: hi"])
    assert len(await scene.calls()) == 1


async def test_a_person_who_was_forgotten_comes_back_as_a_stranger(scene: Scene) -> None:
    await scene.begin()
    await scene.hear("hi", BEA)
    await until(lambda: scene.texts() == ["re: hi"])
    [call] = await scene.calls()
    await scene.commands.end(call, "test")
    await until(lambda: scene.calls(is_open=False))
    await scene.store.erase_contact("default", call.contact)
    forget = ForgetPerson(key="f-1", agent="", channel="", at=scene.now(), contact=call.contact, home=BEA.routing)
    await publish(scene, forget, BEA.routing)
    await until(scene.is_quiet)
    await scene.hear("again", BEA)
    await until(lambda: scene.texts() == ["re: hi", "re: again"])
    [new] = await scene.calls()
    assert new.contact != call.contact
    assert await scene.store.contact(new.contact) is not None

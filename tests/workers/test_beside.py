"""A message of somebody who is on the phone with the same agent: where it goes, and what becomes of it when the call is
not what it seems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni.model.access import Lease
from omni.model.call import Call, conversation_key
from omni.model.channel import PhoneChannel
from omni.model.entry import CallStarted, Entry, UserSaid
from omni.model.inbound import PersonWrote, unpack
from omni.model.queues import voice_home, voice_of
from omni.store.base import Append
from tests.workers.conftest import until
from tests.workers.test_session_worker import AGENT, ANA, BOB, Scene

PHONE = PhoneChannel(number="+12025550142")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "omni.db")
    await scene.open(AGENT.model_copy(update={"channels": (PHONE,)}))
    yield scene
    await scene.close()


async def on_the_phone(scene: Scene, *, lives: bool = True, **more: Any) -> Call:
    """Ana has written once, and speaks with the desk by way of worker w1."""
    await scene.listen()
    await scene.begin()
    await scene.hear("hello", ANA)
    await until(lambda: scene.sent)
    contact = (await scene.calls())[0].contact
    call = Call.model_validate(
        {
            "id": "CA1", "agent": "desk", "channel": PHONE.id, "transport": "phone", "contact": contact,
            "conversation": conversation_key("default", "desk", PHONE.id, contact), "home": voice_home("w1"),
            "started_at": scene.now(), "last_seq": 1, **more,
        }
    )  # fmt: skip
    begin = {"direction": "inbound", "from": "a", "to": "b", "channel": PHONE.id, "contact": contact}
    entry = Entry(seq=1, ts=scene.now(), call="CA1", agent="desk", fact=CallStarted.model_validate(begin))
    await scene.store.append(Append(call=call, entries=[entry]))
    if lives:
        now = scene.now()
        await scene.store.take_lease(Lease(name=voice_home("w1"), holder="w1", until=now + 60), now=now)
    return call


async def brought(scene: Scene) -> list[PersonWrote]:
    """What waits for the voice worker."""
    found: list[Any] = []
    consumer = await scene.bus.consume(
        voice_of("w1"), lambda received: (found.extend(unpack(received.body)), received.ack()), prefetch=10
    )
    await until(lambda: found)
    await consumer.stop()
    return found


async def test_it_goes_to_the_worker_that_has_the_call_and_is_not_answered_in_writing(scene: Scene) -> None:
    call = await on_the_phone(scene)
    await scene.bus.declare((voice_of("w1"),))
    await scene.hear("Main Street 7", ANA)
    (wrote,) = await brought(scene)
    assert (wrote.call, wrote.text, wrote.home) == (call.id, "Main Street 7", call.home)
    await until(scene.is_quiet)
    assert len(scene.sent) == 1
    said = (await scene.facts(UserSaid))[-1]
    assert (said.mode, said.paused) == ("standby", True)


async def test_somebody_elses_messages_are_answered_as_ever(scene: Scene) -> None:
    await on_the_phone(scene)
    await scene.hear("hello", BOB)
    await until(lambda: len(scene.sent) == 2)


@pytest.mark.parametrize("call", [{"lives": False}, {"is_ringing": True}, {"is_open": False}, {"agent": "other"}])
async def test_a_call_in_which_nobody_speaks_with_this_agent_keeps_no_message(
    scene: Scene, call: dict[str, Any]
) -> None:
    """Its worker has gone, it rings, it is over, it is somebody else's."""
    await on_the_phone(scene, **call)
    await scene.hear("Main Street 7", ANA)
    await until(lambda: len(scene.sent) == 2)


async def test_a_worker_that_goes_in_this_moment_stops_nobody(scene: Scene) -> None:
    await on_the_phone(scene)
    await scene.hear("Main Street 7", ANA)  # there is no queue of the worker's
    await until(scene.is_quiet)
    assert len(await scene.facts(UserSaid)) == 2
    await scene.store.drop_lease(voice_home("w1"), "w1")
    await scene.hear("and now?", ANA)
    await until(lambda: len(scene.sent) == 2)


async def test_it_waits_for_a_store_that_is_away(scene: Scene) -> None:
    await on_the_phone(scene)
    await scene.bus.declare((voice_of("w1"),))
    scene.weather.away = True
    await scene.hear("Main Street 7", ANA)
    scene.weather.away = False
    assert [wrote.text for wrote in await brought(scene)] == ["Main Street 7"]

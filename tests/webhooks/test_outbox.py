"""A session's side: a call's log says what is to be told, and no call waits because of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from omni.bus.base import BusUnavailableError, Received
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.message import Message
from omni.model.queues import every_queue, outbound, webhooks
from omni.model.webhook import Untold
from sessions.outbox import Outbox
from sessions.place import Place
from sessions.steps import Dispatch
from tests.webhooks.conftest import PARTITIONS, Stage
from tests.workers.conftest import until

PLACE = Place("default/echo/whatsapp:100/p", "default", "echo", "whatsapp:100", "home")
REPLY = Delivery(
    id="dlv_1", call="wa-1", home="home", agent="echo", channel="whatsapp:100", contact="ct_1", origin="bot", seq=1,
    to=Recipient(identities=(Identity(kind=IdentityKind.WA_ID, value="49170"),)), message=Message.of("hi"),
    created_at=0.0,
)  # fmt: skip


def outbox(stage: Stage, **more: Any) -> Outbox:
    world: Any = SimpleNamespace(bus=stage.bus, store=stage.store, partitions=PARTITIONS, **more)
    return Outbox(world, PLACE)


async def heard(stage: Stage, queues: Any, count: int) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []

    def take(received: Received) -> None:
        found.append((received.queue.partition(".")[0], received.body))
        received.ack()

    consumers = [await stage.bus.consume(queue(n), take, prefetch=10) for queue in queues for n in range(PARTITIONS)]
    await until(lambda: len(found) >= count)
    for consumer in consumers:
        await consumer.stop()
    return sorted(found)


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
async def test_a_call_with_events_says_so_once_beside_its_other_effects(stage: Stage) -> None:
    await outbox(stage).run("wa-1", [Dispatch(REPLY)], tells=True)
    await outbox(stage).run("wa-2", [], tells=True)
    await outbox(stage).run("wa-3", [], tells=False)
    found = await heard(stage, (outbound, webhooks), 3)
    assert [queue for queue, _ in found] == ["outbound", "webhooks", "webhooks"]
    assert [Untold.model_validate_json(body).call for queue, body in found[1:]] == ["wa-1", "wa-2"]


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
async def test_no_call_waits_for_a_bus_only_to_tell_webhooks(stage: Stage) -> None:
    await stage.bus.close()
    with pytest.raises(BusUnavailableError):
        await stage.bus.declare(every_queue(PARTITIONS))
    await outbox(stage).run("wa-1", [], tells=True)  # returns: its log says it, too
    await stage.bus.open()

"""OMNI_PARTITIONS was changed: what waits in queues of the old number is still a promise."""

from __future__ import annotations

import time
from typing import Any

from omni.app.engines import engines
from omni.bus.base import Outgoing
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.inbound import UserMessage, pack
from omni.model.message import Message
from omni.model.queues import every_queue, inbound
from omni.settings import Settings
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, NUMBER


async def test_messages_of_partitions_that_are_gone_are_answered(
    open_shop: OpenShop, engine: dict[str, Any], clean_environment: None
) -> None:
    message = UserMessage(
        key=f"wa:{NUMBER}:wamid.before",
        agent="echo",
        channel=f"whatsapp:{NUMBER}",
        at=time.time(),
        sender=Sender(identities=(Identity(kind=IdentityKind.WA_ID, value=ADA),), routing=f"whatsapp:default:{ADA}"),
        provider_id="wamid.before",
        sent_at=time.time(),
        message=Message.of("said before the change"),
    )
    async with engines(Settings(**engine)) as before:
        await before.bus.declare(every_queue(4))
        await before.bus.publish([Outgoing(inbound(3).name, pack((message,)), message.key)])
    shop = await open_shop(engine | {"partitions": 2})
    assert await shop.answers(1) == ["You said: said before the change"]

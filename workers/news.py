"""What is told, to whoever looks on, of deliveries on their way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omni.live.told import DeliveryNews, Told
from omni.model.call import conversation_key
from omni.model.contact import address_of
from omni.model.delivery import Delivery, StatusUpdate

Tell = Callable[[Told], Awaitable[None]]
"""Broadcasts news of a call; never raises."""


async def nobody_listens(told: Told) -> None:
    pass


def news_of(record: Delivery, update: StatusUpdate) -> Told:
    """What the provider reported of one message."""
    recipient = address_of(record.to.identities)
    news = DeliveryNews(
        delivery=record.id, status=update.state or "other", provider_id=update.provider_id, recipient=recipient
    )
    return Told(
        org=record.org,
        agent=record.agent,
        call=record.call,
        conversation=conversation_key(record.org, record.agent, record.channel, record.contact),
        channel=record.channel,
        home=record.home,
        person=recipient,
        signals=(news,),
    )

"""What every role of one process stands on: its engines, the agents it knows, and who of their developers is there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from omni.app.declared import introduce
from omni.app.engines import Engines, engines
from omni.app.partitions import partitions_to_serve
from omni.live.presence import Presence
from omni.live.trunks import TrunkBook
from omni.model.agent import Agent
from omni.model.queues import every_queue
from omni.settings import Settings
from omni.telemetry.looplag import LoopLag
from sessions.book import Book
from sessions.webhooks.book import EndpointBook


@dataclass(frozen=True, slots=True)
class Process:
    """`served` counts the partitions that the installation has by now; `public_url` tells where the world reaches the
    gateway, as far as this process knows."""

    settings: Settings
    engines: Engines
    served: int
    book: Book
    presence: Presence
    endpoints: EndpointBook
    trunks: TrunkBook
    public_url: Callable[[], str | None]


async def open_process(
    stack: AsyncExitStack,
    settings: Settings,
    learn: Callable[[tuple[Agent, ...]], None],
    public_url: Callable[[], str | None],
) -> Process:
    """Open until the stack is closed. `learn` is told the agents, now and whenever they change.

    Raises SettingsError, and what an unreachable engine raises.
    """
    opened = await stack.enter_async_context(engines(settings, serves=True))
    served = await partitions_to_serve(opened.bus, settings.partitions)
    await opened.bus.declare(every_queue(served))
    presence = Presence(opened.bus, opened.store)
    book = Book(opened.store, opened.bus, learn)
    for agent in settings.agents:
        await introduce(opened.store, agent)
    await book.start()
    stack.push_async_callback(book.stop)
    await presence.start()
    stack.push_async_callback(presence.stop)
    endpoints = EndpointBook(opened.store, opened.bus)
    await endpoints.start()
    stack.push_async_callback(endpoints.stop)
    trunks = TrunkBook(opened.store, opened.bus, settings.sip_trunks, allow_private=settings.allow_private_webhooks)
    await trunks.start()
    stack.push_async_callback(trunks.stop)
    lag = LoopLag()
    lag.start()
    stack.push_async_callback(lag.stop)
    return Process(settings, opened, served, book, presence, endpoints, trunks, public_url)

"""Calls that grow, developers' servers, a worker between them, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import Outgoing
from omni.bus.sqlite import SqliteBus
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.entry import CallStarted, Entry, Fact, UserSaid
from omni.model.message import Message
from omni.model.queues import every_queue, webhooks_for
from omni.model.webhook import Untold, WebhookDelivery, WebhookEndpoint
from omni.outgoing.http import OutgoingHttp
from omni.sqlite import SqliteFile
from omni.store.base import Append, Store
from omni.store.webhooks import WebhookFilter
from sessions.webhooks.book import EndpointBook
from sessions.webhooks.courier import Courier
from sessions.webhooks.events import has_events
from sessions.webhooks.service import WebhookService
from tests.webhooks.receivers import Receiver
from tests.workers.conftest import START, StillClock, until
from workers.webhooks.worker import WebhookWorker

PARTITIONS = 2
SECRET = "whsec_of_the_tests_0123456789"


class Stage:
    """`grow` is what a session does; `work` starts the worker."""

    def __init__(self, store: Store, bus: SqliteBus, path: Path) -> None:
        self.store = store
        self.bus = bus
        self.path = path
        self.clock = StillClock()  # type: ignore[no-untyped-call]
        self.calls: dict[str, Call] = {}
        self.workers: list[WebhookWorker] = []
        self._has_met = False
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        await self.bus.declare(every_queue(PARTITIONS))
        self.http = OutgoingHttp(allow_private=True)
        self.book = EndpointBook(self.store, self.bus)

    async def close(self) -> None:
        for worker in self.workers:
            await worker.stop(0.1)
        await self.http.close()
        await self._stack.aclose()

    def service(self, *, allow_private: bool = True) -> WebhookService:
        courier = Courier(OutgoingHttp(allow_private=allow_private) if not allow_private else self.http, self.now)
        return WebhookService(self.store, self.bus, self.book, courier, allow_private=allow_private, clock=self.now)

    def now(self) -> float:
        return float(self.clock.now())

    # developers

    async def receiver(self, **more: Any) -> Receiver:
        receiver = Receiver(self.now, **more)
        await receiver.start()
        self._stack.push_async_callback(receiver.stop)
        return receiver

    async def listens(self, receiver: Receiver, id_: str = "wh_1", **more: Any) -> WebhookEndpoint:
        """Register a developer's server."""
        wanted = {"id": id_, "url": receiver.url, "secret": SECRET, "timeout_s": 1.0, "created_at": START, **more}
        return await self.store.save_webhook(WebhookEndpoint.model_validate(wanted))

    # calls

    async def grow(self, call_id: str, *facts: Fact, tells: bool = True, noticed: bool = True) -> Call:
        """Append to a call (which begins first), as a session does. `noticed` False: it died right after."""
        call = self.calls.get(call_id)
        added: tuple[Fact, ...] = facts
        if call is None:
            await self._meet()
            call = self._document(call_id)
            added = (_started(call), *facts)
        entries = [
            Entry(seq=call.last_seq + n, ts=self.now(), call=call_id, agent="echo", fact=fact)
            for n, fact in enumerate(added, start=1)
        ]
        call = call.model_copy(update={"last_seq": call.last_seq + len(entries), "last_at": self.now()})
        await self.store.append(Append(call, entries, tells=tells and has_events(entries)))
        self.calls[call_id] = call
        if noticed:
            await self.notice(call_id)
        return call

    async def say(self, call_id: str, text: str, **more: Any) -> Call:
        return await self.grow(call_id, said(text), **more)

    async def notice(self, call_id: str) -> None:
        queue = webhooks_for("home", PARTITIONS).name
        await self.bus.publish([Outgoing(queue, Untold(call=call_id).model_dump_json().encode(), call_id)])

    async def _meet(self) -> None:
        if not self._has_met:
            self._has_met = True
            phone = Identity(kind=IdentityKind.PHONE, value="4917012345678")
            await self.store.save_contact(
                Contact(id="ct_1", home="home", identities=(phone,), name="Ada", attributes={"email": "ada@x.example"})
            )

    def _document(self, call_id: str) -> Call:
        return Call(
            id=call_id,
            agent="echo",
            channel="whatsapp:100",
            transport="whatsapp",
            conversation=conversation_key("default", "echo", "whatsapp:100", call_id),
            contact="ct_1",
            home="home",
            started_at=self.now(),
        )

    # the worker

    async def work(self, **more: Any) -> WebhookWorker:
        worker = WebhookWorker(
            **{
                "bus": self.bus,
                "store": self.store,
                "courier": Courier(self.http, self.now),
                "partitions": range(PARTITIONS),
                "clock": self.clock,
                "draw": lambda: 1.0,
                "holder": "alone",
                **more,
            }
        )
        self.workers.append(worker)
        await worker.start()
        return worker

    async def passes(
        self, condition: Any, step: float = 5.0, most: float = 2 * 86_400.0, *, while_busy: bool = False
    ) -> float:
        """Let time pass until something is so, a step whenever the worker has nothing in hand (or even then, with
        `while_busy`); returns the seconds it took."""
        began = self.now()
        while not condition():
            assert self.now() - began <= most, "time passed and nothing came of it"
            await until(lambda: condition() or self._is_settled(while_busy))  # type: ignore[no-untyped-call]
            if not condition():
                self.clock.advance(step)  # type: ignore[no-untyped-call]
                for _ in range(20):
                    await asyncio.sleep(0)
        return self.now() - began

    def _is_settled(self, while_busy: bool) -> bool:
        working = [worker for worker in self.workers if not worker._stopping.is_set()]
        lines = [owned.line for worker in working for owned in worker._owning.owned.values() if owned.is_at_work]
        in_hand = any(line._in_hand for line in lines if line is not None)
        asleep = len(self.clock.alarms) >= 2 * len(working) + len(lines)
        return asleep and (while_busy or not in_hand)

    async def deliveries(self, **where: Any) -> list[WebhookDelivery]:
        """Oldest first."""
        page = await self.store.webhook_deliveries(WebhookFilter("default", **where), limit=1_000)
        return list(reversed(page.items))

    async def finished(self, seconds: float = 10.0) -> list[WebhookDelivery]:
        """All deliveries, once none is pending."""

        async def none_pending() -> bool:
            found = await self.deliveries()
            return bool(found) and all(each.state != "pending" for each in found)

        await until(none_pending, seconds)  # type: ignore[no-untyped-call]
        return await self.deliveries()


def said(text: str, **more: Any) -> UserSaid:
    return UserSaid(
        **{
            "id": f"m-{text}",
            "text": text,
            "provider_id": f"p-{text}",
            "at": START,
            "message": Message.of(text),
            **more,
        }
    )


def _started(call: Call) -> CallStarted:
    return CallStarted.model_validate(
        {"direction": "inbound", "from": "4917012345678", "to": "100", "channel": call.channel, "contact": call.contact}
    )


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("mongodb", marks=pytest.mark.mongodb)])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """On either store; the bus is the embedded one."""
    async with AsyncExitStack() as stack:
        path = tmp_path / "omni.db"
        file = SqliteFile(path, sync="normal")
        store: Store
        if request.param == "sqlite":
            from omni.store.sqlite import SqliteStore

            store = SqliteStore(file)
        else:
            from omni.store.mongodb import MongoStore

            store = MongoStore(request.getfixturevalue("mongo_url"))
        bus = SqliteBus(file)
        await store.open()
        stack.push_async_callback(store.close)
        await bus.open()
        stack.push_async_callback(bus.close)
        stage = Stage(store, bus, path)
        await stage.open()
        stack.push_async_callback(stage.close)
        yield stage


@pytest.fixture
def eventually() -> Any:
    return until

"""One contract, every engine: a test that takes `store`, `engine` or `blobs` runs against each of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omni.blobs.base import Blobs
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.delivery import Delivery, DeliveryState, Origin, Recipient
from omni.model.entry import BotSaid, Custom, Entry, Fact
from omni.model.message import Message
from omni.store.base import Append, Loaded, Store

STORES = [pytest.param("sqlite"), pytest.param("mongodb", marks=pytest.mark.mongodb)]
BLOBS = [pytest.param("folder"), pytest.param("gridfs", marks=pytest.mark.mongodb)]


@dataclass
class Engine:
    """A database of this test's own, and as many stores on it as the test wants: each is what a process would have."""

    kind: str
    place: str
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def build(self) -> Store:
        if self.kind == "sqlite":
            from omni.sqlite import SqliteFile
            from omni.store.sqlite import SqliteStore

            return SqliteStore(SqliteFile(self.place))
        from omni.store.mongodb import MongoStore

        return MongoStore(self.place)

    async def store(self) -> Store:
        store = self.build()
        await store.open()
        self._stack.push_async_callback(store.close)
        return store


@pytest.fixture(params=STORES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    place = str(tmp_path / "omni.db") if request.param == "sqlite" else request.getfixturevalue("mongo_url")
    engine = Engine(request.param, place)
    async with engine._stack:
        yield engine


@pytest.fixture
async def store(engine: Engine) -> Store:
    return await engine.store()


@pytest.fixture
async def two_stores(engine: Engine) -> tuple[Store, Store]:
    """What two workers have on one database."""
    return await engine.store(), await engine.store()


@pytest.fixture(params=BLOBS)
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    blobs: Blobs
    if request.param == "folder":
        from omni.blobs.folder import FolderBlobs

        blobs = FolderBlobs(tmp_path / "blobs")
    else:
        from omni.blobs.gridfs import GridFsBlobs

        blobs = GridFsBlobs(request.getfixturevalue("mongo_url"))
    await blobs.open()
    yield blobs
    await blobs.close()


class Make:
    """Small valid values. Whatever a test is about it names; the rest does not matter to it."""

    def entry(self, call: str, seq: int, fact: Fact | None = None, **more: Any) -> Entry:
        return Entry(
            seq=seq, ts=1_000.0 + seq, call=call, agent="echo", fact=fact or Custom(name="n", value=seq), **more
        )

    def call(
        self, call_id: str, *, party: str | None = None, contact: str = "ct_1", agent: str = "echo", **more: Any
    ) -> Call:
        channel = "whatsapp:100"
        return Call(
            **{
                "id": call_id,
                "agent": agent,
                "channel": channel,
                "transport": "whatsapp",
                "conversation": conversation_key("default", agent, channel, party or call_id),
                "contact": contact,
                "home": "wa_id:49170",
                "started_at": 1_000.0,
                **more,
            }
        )

    def delivery(self, delivery_id: str, call: str, seq: int, *, origin: Origin = "bot", **more: Any) -> Delivery:
        return Delivery(
            **{
                "id": delivery_id,
                "call": call,
                "home": "wa_id:49170",
                "agent": "echo",
                "channel": "whatsapp:100",
                "contact": "ct_1",
                "to": Recipient(identities=(Identity(kind=IdentityKind.WA_ID, value="49170"),)),
                "message": Message.of("hello"),
                "origin": origin,
                "seq": seq,
                "created_at": 1_000.0,
                **more,
            }
        )

    def contact(self, contact_id: str, *phones: str, **more: Any) -> Contact:
        identities = tuple(Identity(kind=IdentityKind.WA_ID, value=phone) for phone in phones)
        return Contact(
            id=contact_id, home=f"wa_id:{phones[0] if phones else contact_id}", identities=identities, **more
        )

    def step(
        self, call: Call, *facts: Fact, keys: Sequence[str] = (), deliveries: Sequence[Delivery] = (), count: int = 1
    ) -> Append:
        """`call` as it is before the step; without facts, `count` entries that say nothing."""
        first = call.last_seq + 1
        what: Sequence[Fact | None] = facts or [None] * count
        entries = [self.entry(call.id, first + n, fact) for n, fact in enumerate(what)]
        after = call.model_copy(update={"last_seq": entries[-1].seq, "last_at": entries[-1].ts})
        return Append(after, entries, keys, deliveries)

    def reply(self, call: Call, delivery_id: str, text: str = "hello", **more: Any) -> Append:
        """The bot says something that a delivery carries."""
        delivery = self.delivery(
            delivery_id, call.id, call.last_seq + 1, message=Message.of(text), contact=call.contact
        )
        return self.step(
            call, BotSaid(id=f"m_{delivery_id}", text=text, delivery=delivery), deliveries=[delivery], **more
        )

    async def open(self, store: Store, call_id: str, **more: Any) -> Call:
        """A call with one entry, in the store."""
        step = self.step(self.call(call_id, **more))
        await store.append(step)
        return step.call

    async def queue(self, store: Store, *deliveries: Delivery, **more: Any) -> Call:
        """A call that asked for these deliveries, in the store."""
        step = self.step(
            self.call(deliveries[0].call, **more), deliveries=deliveries, count=max(d.seq for d in deliveries)
        )
        await store.append(step)
        return step.call

    async def repair(self, store: Store, loaded: Loaded) -> Call:
        """What whoever loads a call does about entries that its document does not know: write both."""
        newest = loaded.entries[-1].seq if loaded.entries else loaded.call.last_seq
        if newest == loaded.call.last_seq:
            return loaded.call
        call = loaded.call.model_copy(update={"last_seq": newest})
        missed = [entry for entry in loaded.entries if entry.seq > loaded.call.last_seq]
        await store.save_call(call, [entry.fact.delivery for entry in missed if isinstance(entry.fact, BotSaid)])
        return call

    def changed(self, **fields: Any) -> Callable[[Delivery], Delivery | None]:
        return lambda delivery: delivery.model_copy(update=fields)

    def sending(self) -> Callable[[Delivery], Delivery | None]:
        return self.changed(state=DeliveryState.SENDING)

    async def outcomes(self, attempts: Sequence[Awaitable[Any]]) -> list[str]:
        """Run attempts at once; the name of the error of each, or `ok`. Only the store's own errors count."""
        results = await asyncio.gather(*attempts, return_exceptions=True)
        return [type(result).__name__ if isinstance(result, BaseException) else "ok" for result in results]

    async def cut_off(self, attempt: Awaitable[Any], after: int) -> None:
        """Begin an attempt and abandon it after so many turns of the event loop."""
        task = asyncio.ensure_future(attempt)
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def make() -> Make:
    return Make()

"""The gateway's side of telephone calls: what becomes of a call finds the worker that has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.phone.reception import CallProgress
from omni.app import phone
from omni.app.phone import BusReception
from omni.bus.base import Received
from omni.bus.sqlite import SqliteBus
from omni.live.hub import Hub
from omni.model.access import Lease
from omni.model.inbound import CallProgress as Progressed
from omni.model.inbound import unpack
from omni.model.queues import claim_of, voice_of
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.commands import Commands
from tests.phone.line import CALL, channel_of
from tests.server.shop import until


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, SqliteBus]]:
    file = SqliteFile(tmp_path / "omni.db", sync="normal")
    store, bus = SqliteStore(file), SqliteBus(file)
    await store.open()
    await bus.open()
    yield store, bus
    await bus.close()
    await store.close()


async def test_a_worker_hears_of_a_caller_who_left_before_their_call_was_in_the_store(
    engines: tuple[SqliteStore, SqliteBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone, "LOOKS", 1)
    store, bus = engines
    reception = BusReception(Hub(bus, store, "desk-1"), bus, store, Commands(store, bus, 1), lambda *_: None)
    queue = voice_of("w1")
    await bus.declare([queue])
    taken: list[Progressed] = []

    def take(received: Received) -> None:
        taken.extend(each for each in unpack(received.body) if isinstance(each, Progressed))
        received.ack()

    await bus.consume(queue, take, prefetch=10)
    left = CallProgress("default", "desk", channel_of(), CALL, "ended")
    await reception.progress(left)  # nobody knows it
    await store.take_lease(Lease(name=claim_of(CALL), holder="w1", until=4e9), now=0)
    await reception.progress(left)
    await until(lambda: taken)
    assert [(each.call, each.status, each.home) for each in taken] == [(CALL, "ended", "voice:w1")]

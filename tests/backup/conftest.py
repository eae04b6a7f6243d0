"""A whole server with people on it, and the real `omni` command beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pymongo
import pytest

from omni.app.engines import engines
from omni.app.server import Server
from omni.model.queues import every_queue
from sessions.commands import Commands
from tests.backup.command import Command
from tests.rest.conftest import OPEN
from tests.rest.house import KEY, House
from tests.server.conftest import (  # noqa: F401 - fixtures
    OpenShop,
    clean_environment,
    embedded,
    engine,
    open_shop,
    services,
)
from tests.server.shop import NUMBER, SECRETS, Shop, agent_of

LINE = {"kind": "whatsapp", "phone_number_id": NUMBER, **SECRETS, "pair_interval": 0}


@pytest.fixture
async def house(engine: dict[str, Any], open_shop: OpenShop) -> House:  # noqa: F811
    agent = agent_of(channels=[LINE, {"kind": "chat"}])
    return House(await open_shop(engine, agent, api_key=KEY, **OPEN))


@pytest.fixture
def omni(engine: dict[str, Any], tmp_path: Path) -> Command:  # noqa: F811
    """`omni …` for the house's stores."""
    return Command(tmp_path, {"OMNI_STORE_URL": engine["store_url"]})


@pytest.fixture
def elsewhere(engine: dict[str, Any], tmp_path: Path) -> Any:  # noqa: F811
    """Settings of engines that are empty, of the same kind."""
    if "bus_url" not in engine:
        (tmp_path / "new").mkdir()
        yield {**engine, "store_url": f"sqlite:///{tmp_path}/new/omni.db"}
        return
    url, _, options = engine["store_url"].partition("?")
    name = f"{url.rpartition('/')[2]}_restored"
    yield {**engine, "store_url": f"{url}_restored?{options}", "bus_prefix": f"{engine['bus_prefix']}.restored"}
    with pymongo.MongoClient[dict[str, Any]](engine["store_url"]) as client:
        client.drop_database(name)


@pytest.fixture
async def moved() -> AsyncIterator[Any]:
    """`await moved(house, elsewhere)`: a server on other engines in the place of the house's own."""
    async with AsyncExitStack() as stack:

        async def move(house: House, elsewhere: dict[str, Any]) -> House:
            old = house.shop
            wanted = old.settings.model_copy(update={**elsewhere, "port": old.server.port})
            await old.server.stop()
            server = Server(wanted)
            await server.start()
            stack.push_async_callback(server.stop)
            found = await stack.enter_async_context(engines(wanted))
            await found.bus.declare(every_queue(wanted.partitions))
            commands = Commands(found.store, found.bus, wanted.partitions)
            return House(Shop(old.simulator, old.graph_url, server, wanted, found, commands, old.http), house.keys)

        yield move

"""Two servers on one file: the second goes away, and leaves the first as it was."""

from __future__ import annotations

from typing import Any

import pytest

from omni.app.server import Server
from omni.bus.base import BusUnavailableError
from omni.settings import Settings
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of


async def test_a_second_server_on_the_file_changes_nothing(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    other = Server(Settings(port=0, agents=(agent_of("thief"),), **embedded))
    with pytest.raises(BusUnavailableError, match="another omni server"):
        await other.start()
    assert [agent.slug for agent in await shop.engines.store.agents()] == ["echo"]
    shop.say("still there?")
    assert await shop.answers(1) == ["You said: still there?"]

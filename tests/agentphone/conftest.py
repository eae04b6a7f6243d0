"""`desk`: an organisation with AgentPhone's own client, once the synchronous and once the asynchronous one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agentphone.house import Desk, House
from tests.agentphone.house import desk as open_desk


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("agentphone"))
    try:
        house.open()
        yield house
    finally:
        house.close()


@pytest.fixture(params=["sync", "async/"])
def desk(house: House, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with open_desk(house, request.param) as found:
        yield found

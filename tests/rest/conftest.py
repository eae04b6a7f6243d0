"""A whole server, asked over its own socket as a developer's program would."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.house import KEY, House
from tests.server.conftest import (  # noqa: F401 - fixtures
    OpenShop,
    clean_environment,
    embedded,
    engine,
    llm,
    open_shop,
    proxy_to,
    services,
)
from tests.server.shop import agent_of

OPEN: dict[str, Any] = {"allow_private_webhooks": True, "sip_bind": "127.0.0.1:0"}


@pytest.fixture
async def house(embedded: dict[str, Any], open_shop: OpenShop) -> House:  # noqa: F811
    """On the embedded engines."""
    return House(await open_shop(embedded, agent_of(), api_key=KEY, **OPEN))


@pytest.fixture
async def each_house(engine: dict[str, Any], open_shop: OpenShop) -> House:  # noqa: F811
    """On the embedded engines, and on RabbitMQ and MongoDB."""
    return House(await open_shop(engine, agent_of(), api_key=KEY, **OPEN))

"""A running business with an inbox, and the people who work in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from omni.model.operator import Role
from tests.inbox.colleagues import Colleague, colleague_of, program_of
from tests.server.conftest import (  # noqa: F401 - fixtures
    clean_environment,
    embedded,
    engine,
    llm,
    open_shop,
    services,
)
from tests.server.shop import Shop

Hire = Callable[..., Awaitable[Colleague]]


@pytest.fixture
async def hire() -> AsyncIterator[Hire]:
    """`await hire(shop, "tess", role="agent", org="default")`: an operator who is signed in."""
    async with AsyncExitStack() as stack:

        async def join(shop: Shop, name: str = "tess", role: Role = "agent", **more: Any) -> Colleague:
            colleague = await colleague_of(shop, name, role, **more)
            stack.push_async_callback(colleague.leave)
            return colleague

        yield join


@pytest.fixture
async def program() -> AsyncIterator[Hire]:
    """`await program(shop, org="default")`: a program with an API key."""
    async with AsyncExitStack() as stack:

        async def make(shop: Shop, **more: Any) -> Colleague:
            colleague = await program_of(shop, **more)
            stack.push_async_callback(colleague.leave)
            return colleague

        yield make

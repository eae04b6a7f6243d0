"""Where the rows of the protocol's tables are played: a server, WhatsApp's stand-in, a model, and programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from omni.gateway.client.timing import Limits, Timing
from omni.model.agent import Agent
from tests.brains.llm_server import LlmServer
from tests.client.program import KEY, Frame, Program
from tests.server.shop import ADA, Shop, agent_of

Row = Callable[["Stage"], Awaitable[None]]


class Rows:
    """Rows by the id that names their section of the protocol."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def __call__(self, id_: str) -> Callable[[Row], Row]:
        def add(row: Row) -> Row:
            assert id_ not in self._rows, id_
            self._rows[id_] = row
            return row

        return add

    def all(self) -> list[Any]:
        return [pytest.param(row, id=id_) for id_, row in self._rows.items()]


@dataclass
class Stage:
    """`open` it first. The agent `desk` has the WhatsApp number; its program answers, unless it says otherwise."""

    start: Callable[..., Awaitable[Shop]]
    engine: dict[str, Any]
    patch: pytest.MonkeyPatch
    llm: LlmServer
    stack: AsyncExitStack
    shops: list[Shop] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)

    @property
    def shop(self) -> Shop:
        return self.shops[-1]

    async def open(
        self,
        *agents: Agent,
        timing: dict[str, float] | None = None,
        limits: dict[str, float] | None = None,
        **settings: Any,
    ) -> Shop:
        self.patch.setattr("omni.app.surfaces.client.TIMING", Timing(**(timing or {})))
        self.patch.setattr("omni.app.surfaces.client.LIMITS", Limits(**(limits or {})))  # type: ignore[arg-type]
        wanted = agents or (agent_of("desk", brain="client"),)
        given = {"api_key": KEY, "llm_base_url": self.llm.base_url, **settings}
        self.shops.append(await self.start(self.engine, *wanted, **given))
        return self.shop

    async def program(self, key: str = KEY, shop: Shop | None = None) -> Program:
        where = shop or self.shop
        program = await Program.connect(where.http, where.url, key)
        self.programs.append(program)
        self.stack.push_async_callback(program.close)
        return program

    async def socket(self, path: str = "/client") -> Program:
        """A connection that has said nothing yet."""
        program = await Program.open(self.shop.http, self.shop.url, path)
        self.stack.push_async_callback(program.close)
        return program

    async def desk(self, agent_id: str = "desk", **config: Any) -> Program:
        """An open server, and the program of its agent."""
        if not self.shops:
            await self.open()
        program = await self.program()
        await program.create(agent_id, **config)
        return program

    async def asked(self, program: Program, text: str = "hello", who: str = ADA) -> Frame:
        """Somebody writes; the program's cue to answer."""
        self.shop.say(text, who)
        return await program.expect("turn.end", text=text)

    async def org_key(self, org: str) -> str:
        """A key of another organisation."""
        from omni.access.keys import Keys

        _, secret = await Keys(self.shop.engines.store).create(org, "test")
        return secret

    async def agent(self, slug: str = "desk", org: str = "default") -> Agent:
        found = await self.shop.engines.store.agent(org, slug)
        assert found is not None
        return found


def reply(cue: Frame, text: str, message_id: str = "m1", **more: Any) -> Frame:
    """The answer to a cue."""
    head = {"event": "bot.reply", "call_id": cue["call_id"], "message_id": message_id, "text": text}
    return {**head, "in_reply_to": cue["message_id"], **more}

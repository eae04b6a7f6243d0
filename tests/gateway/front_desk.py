"""A gateway as its tests ask it; programs are leases, as gateways take them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from omni.access.access import Access
from omni.bus.sqlite import SqliteBus
from omni.live.presence import Presence, Program, lease_of
from omni.model.access import ApiKey
from omni.model.agent import Agent
from omni.store.sqlite import SqliteStore
from sessions.book import Book

OWN_KEY = "pk_the_key_of_the_settings"


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class Desk:
    """One gateway. `secrets` are the keys of organisations, by the organisation's name."""

    store: SqliteStore
    bus: SqliteBus
    book: Book
    presence: Presence
    access: Access
    http: aiohttp.ClientSession
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    _programs: int = 0

    async def key(self, org: str) -> str:
        if org not in self.secrets:
            self.keys[org], self.secrets[org] = await self.access.keys.create(org, f"the key of {org}")
        return self.secrets[org]

    async def connect(self, slug: str, *, org: str = "default", desk: str = "desk_1", **more: Any) -> Program:
        """A program connects somewhere; this gateway sees it at its next look."""
        self._programs += 1
        program = Program(org, slug, f"conn_{self._programs}", desk, time.time(), **more)
        now = time.time()
        await self.store.take_lease(lease_of(program, now + 60), now=now)
        return program

    async def save(self, slug: str, *, org: str = "default", **more: Any) -> Agent:
        agent = Agent.model_validate({"slug": slug, "org": org, "brain": "client", **more})
        await self.book.save(agent)
        return agent

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        org: str | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        secret = await self.key(org) if org is not None else key
        sent = {**({"Authorization": f"Bearer {secret}"} if secret is not None else {}), **(headers or {})}
        async with self.http.request(method, self.url + path, headers=sent, params=params, json=body) as answer:
            return Answer(answer.status, answer.headers, await answer.text())


@dataclass
class Options:
    """What a test has otherwise: set before it takes `desk`, by `@pytest.mark.parametrize(..., indirect)`."""

    public_url: str | None = None
    proxies: int = 0
    tells_channels: bool = True

"""A browser at the inbox's sign-in, and the gateway it speaks with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from omni.access.access import Access
from omni.access.operators.links import Links
from omni.access.operators.passwords import Passwords
from omni.access.operators.staff import Staff
from omni.gateway.inbox.guard import Guard
from omni.model.base import DEFAULT_ORG
from omni.model.operator import Operator, Role
from omni.store.base import Store

PASSWORD = "correct horse battery"
ANOTHER = "staple those four words"


@dataclass
class Clock:
    """Time that a test moves: epoch seconds."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]
    cookies: list[str]

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def field(self) -> str | None:
        found: str | None = self.body["error"].get("field")
        return found


@dataclass
class Browser:
    """Keeps cookies and the session's CSRF token, as the page does. `url` is the gateway's."""

    http: aiohttp.ClientSession
    url: str
    csrf: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = {"Origin": self.url, **self.headers}
        if self.csrf is not None:
            sent["X-CSRF-Token"] = self.csrf
        if method == "GET":
            sent.pop("Origin")
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value != ""}
        async with self.http.request(method, self.url + path, json=body, headers=sent, allow_redirects=False) as answer:
            is_json = answer.content_type == "application/json"
            told = await answer.json() if is_json else await answer.text()
            return Answer(answer.status, told, answer.headers, answer.headers.getall("Set-Cookie", []))

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    async def patch(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("PATCH", path, body, **more)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> Answer:
        return self._kept(await self.post("/v1/inbox/sign-in", {"email": email, "password": password}, **more))

    async def follow(self, link: str) -> Answer:
        """Open a sign-in link, as the page does with its fragment."""
        token = link.partition("#link=")[2] or link
        return self._kept(await self.post("/v1/inbox/sign-in/link", {"token": token}))

    def _kept(self, answer: Answer) -> Answer:
        if answer.status == 200:
            self.csrf = answer.body["csrf"]
        return answer

    @property
    def cookie(self) -> str:
        return next(one.value for one in self.http.cookie_jar if one.key.endswith("omni_session"))


@dataclass
class Gateway:
    """One gateway process of several that share a store."""

    store: Store
    access: Access
    guard: Guard
    passwords: Passwords
    clock: Clock
    url: str
    told: list[str]
    """Organisations whose operators changed."""

    async def operator(
        self,
        name: str = "ada",
        role: Role = "agent",
        *,
        password: str | None = PASSWORD,
        org: str = DEFAULT_ORG,
    ) -> Operator:
        hash_ = await self.passwords.hash(password) if password is not None else None
        staff = Staff(self.store, self.guard.sessions, clock=self.clock)
        return await staff.add(org, f"{name}@example.com", name.title(), role, password_hash=hash_)

    def link(self, operator: Operator) -> str:
        return Links(self.access.sealer, self.store, clock=self.clock).make(operator)

"""The server as a developer asks it, and what there is to ask for."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from omni.access.keys import Keys
from tests.server.shop import Shop, until

KEY = "pk_the-key-of-the-tests-0123456789"
SMS_LINE = {"kind": "sms", "number": "+12025550142", "account_sid": "AC" + "0" * 32, "auth_token": "a-secret-token"}
SUPPORT = {
    "name": "Support Agent",
    "system_prompt": "You are a support agent. The customer is {{who}}.",
    "voice_id": "ember",
}


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        return self.body["error"]


@dataclass
class House:
    shop: Shop
    keys: dict[str, str] = field(default_factory=lambda: {"default": KEY})

    @property
    def store(self) -> Any:
        return self.shop.engines.store

    async def key(self, org: str) -> str:
        if org not in self.keys:
            _, self.keys[org] = await Keys(self.store).create(org, f"the key of {org}")
        return self.keys[org]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        org: str = "default",
        key: str | None = "",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        **query: Any,
    ) -> Answer:
        secret = await self.key(org) if key == "" else key
        sent = {**({"Authorization": f"Bearer {secret}"} if secret is not None else {}), **(headers or {})}
        content: Any = io.BytesIO(raw) if raw is not None else None if body is None else json.dumps(body).encode()
        async with self.shop.http.request(
            method, self.shop.url + path, headers=sent, data=content, params=query or None, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    async def get(self, path: str, **more: Any) -> Any:
        answer = await self.ask("GET", path, **more)
        assert answer.status == 200, answer.text
        return answer.body

    async def post(self, path: str, body: Any = None, *, status: int = 201, **more: Any) -> Any:
        answer = await self.ask("POST", path, body, **more)
        assert answer.status == status, answer.text
        return answer.body

    async def pages(self, path: str, **query: Any) -> list[list[Any]]:
        """Every page of a list."""
        pages: list[list[Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, **query, **cursor)
            pages.append(page["data"])
            assert page["has_more"] is (page["next_cursor"] is not None)
            if not page["has_more"]:
                return pages
            cursor = {"cursor": page["next_cursor"]}

    async def conversation(self, text: str = "hello", who: str = "12025550171") -> Any:
        """A person writes on WhatsApp, and is answered; the conversation."""
        self.shop.say(text, who)
        await self.shop.answers(1, who)

        async def answered() -> Any:
            found = await self.get("/v1/conversations", limit=100)
            return next(
                (
                    one
                    for one in found["data"]
                    if one["contact"]["address"] == who and (one["last_message"] or {}).get("role") == "assistant"
                ),
                None,
            )

        return await until(answered)

    async def message(self, sent: Any, *status: str) -> Any:
        """A message of ours, once it is there (and has one of these states)."""

        async def there() -> Any:
            answer = await self.ask("GET", f"/v1/conversations/{sent['conversation_id']}/messages/{sent['id']}")
            if answer.status == 404:
                return None
            return answer.body if not status or answer.body["status"] in status else None

        return await until(there)

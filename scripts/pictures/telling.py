"""The stories told: customers through the WhatsApp stand-in, a colleague through the inbox's own HTTP."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from channels.whatsapp.simulator import Simulator
from omni.access.operators.sessions import Sessions
from omni.gateway.inbox.guard import COOKIE, CSRF_HEADER
from omni.model.ids import new_id
from omni.model.operator import Operator
from omni.store.base import Store
from pictures.story import LABELS, PEOPLE, STORIES, Step, Story

PATIENCE = 20.0


async def hire(store: Store) -> list[Operator]:
    """Everybody who works there, the one whose page is photographed first."""
    return [
        await store.save_operator(
            Operator(
                id=new_id("op"),
                email=f"{name.split()[0].lower()}@casalumen.example",
                name=name,
                role="admin" if role == "admin" else "agent",
                created_at=time.time(),
            )
        )
        for name, role in PEOPLE
    ]


@dataclass(slots=True)
class Desk:
    """Somebody at the inbox, as the page would ask for them."""

    http: aiohttp.ClientSession
    url: str
    headers: dict[str, str]

    @classmethod
    async def of(cls, http: aiohttp.ClientSession, url: str, store: Store, operator: Operator) -> Desk:
        cookie, _ = await Sessions(store).begin(operator)
        desk = cls(http, url, {"Cookie": f"{COOKIE}={cookie}", "Origin": url})
        desk.headers[CSRF_HEADER] = (await desk.ask("GET", "/me"))["csrf"]
        return desk

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {**self.headers, "Idempotency-Key": uuid.uuid4().hex}
        async with self.http.request(method, f"{self.url}/v1/inbox{path}", json=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def row(self, name: str) -> Any:
        async def look() -> Any:
            rows = (await self.ask("GET", "/conversations"))["rows"]
            return next((row for row in rows if row["contact"]["name"] == name), None)

        return await until(look)


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.02)


class Teller:
    """Tells one story after the other, each step when the one before has had its effect."""

    def __init__(self, simulator: Simulator, desks: dict[str, Desk], photo: bytes) -> None:
        self._simulator = simulator
        self._desks = desks
        self._photo = photo

    async def all(self) -> None:
        lead = self._desks["Grace Okafor"]
        for name, colour in LABELS:
            await lead.ask("POST", "/labels", {"name": name, "colour": colour})
        for story in STORIES:
            # Most of what people had to do with was Nadia's; some of it a colleague's.
            who = "Tom Lindqvist" if story.name.startswith(("Kofi", "Dmitri")) else "Nadia Ferrer"
            for step in story.steps:
                await self._step(story, step, self._desks[who])

    async def _step(self, story: Story, step: Step, desk: Desk) -> None:
        kind, words = step
        if kind in ("user", "location", "photo", "react"):
            await self._hears(story, kind, words)
            return
        path = f"/conversations/{(await desk.row(story.name))['id']}"
        if kind == "take":
            await desk.ask("POST", f"{path}/take", {})
        elif kind == "tess":
            before = len(self._simulator.sent(to=story.number))
            await desk.ask("POST", f"{path}/messages", {"text": words})
            await self._simulator.wait_sent(before + 1, to=story.number, timeout=PATIENCE)
        elif kind == "note":
            await desk.ask("POST", f"{path}/notes", {"text": words})
        elif kind == "label":
            await desk.ask("POST", f"{path}/labels", {"add": [words]})
        await self._settled(desk, path)

    async def _hears(self, story: Story, kind: str, words: str) -> None:
        body: dict[str, Any] = {"from": story.number, "name": story.name}
        sent = self._simulator.sent(to=story.number)
        if kind == "user":
            body |= {"type": "text", "text": words}
        elif kind == "location":
            body |= {"type": "location", "latitude": 40.4168, "longitude": -3.7038, "place": words,
                     "address": "Camino del Olivar 3, Madrid"}  # fmt: skip
        elif kind == "photo":
            number = self._simulator.settings.phone_number_id
            photo = self._simulator.media.put(number, "image/png", self._photo, filename="lamp.png", owner="user")
            body |= {"type": "image", "media_id": photo.id, "caption": words}
        else:
            body |= {"type": "reaction", "message_id": sent[-1].id, "emoji": words}
        self._simulator.user_does(body)
        desk = self._desks["Nadia Ferrer"]
        row = await desk.row(story.name)
        if row["handler"] == "bot" and kind == "user":
            await self._simulator.wait_sent(len(sent) + 1, to=story.number, timeout=PATIENCE)
        await self._settled(desk, f"/conversations/{row['id']}")

    async def _settled(self, desk: Desk, path: str) -> None:
        """Until nothing is on its way any more: what was sent has been read, what was sent to us has been written."""
        await self._simulator.webhooks.idle()
        seen = -1

        async def is_still() -> bool:
            nonlocal seen
            items = (await desk.ask("GET", f"{path}/items?limit=200"))["items"]
            before, seen = seen, len(items)
            waits = [one for one in items if (one.get("delivery") or {}).get("state") in ("queued", "sending", "sent")]
            pending = [part for one in items for part in one.get("parts", ()) if part.get("pending")]
            await asyncio.sleep(0.1)
            return before == seen and not waits and not pending

        await until(is_still)

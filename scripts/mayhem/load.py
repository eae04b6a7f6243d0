"""The users: people who write numbered messages, and the platform that posts them in signed batches until each is
answered with 200. Contacts are shuffled; inside one contact a message is first posted after the one before it was
taken. A share of the messages comes again later, under the same ids in other batches."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from dataclasses import dataclass

from channels.whatsapp.simulator import Simulator
from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.webhooks import encode, sign
from mayhem.gateways import Gateways
from mayhem.plan import Plan

MOST_POSTS = 24
TEXT = re.compile(r"\bc(\d+)n(\d+)\b")


@dataclass(slots=True)
class Said:
    """A user's message. `posted` is its first attempt, `taken` the first 200; epoch seconds."""

    contact: int
    number: int
    item: Json
    posted: float = 0.0
    taken: float = 0.0

    @property
    def key(self) -> tuple[int, int]:
        return self.contact, self.number

    @property
    def id(self) -> str:
        return str(self.item["id"])


def wa_id(contact: int) -> str:
    return str(15550000000 + contact)


class Load:
    """`run` returns when every message, and every repetition, was answered with 200."""

    def __init__(self, plan: Plan, simulator: Simulator, ways: Gateways) -> None:
        self._plan = plan
        self._simulator = simulator
        self._ways = ways
        self._dice = random.Random(f"{plan.seed} load")
        self.said: dict[tuple[int, int], Said] = {}
        self._waiting: dict[int, deque[Said]] = {}
        for contact in range(plan.contacts):
            person = simulator.people.meet(wa_id(contact), name=f"Person {contact}")
            self._waiting[contact] = deque()
            for number in range(plan.messages):
                item: Json = {
                    "from": person.wa_id,
                    "from_user_id": person.user_id,
                    "id": simulator.ids.message(person.wa_id),
                    "timestamp": str(int(time.time())),
                    "type": "text",
                    "text": {"body": f"c{contact:04d}n{number:04d} says hello"},
                }
                said = Said(contact, number, item)
                self.said[said.key] = said
                self._waiting[contact].append(said)
        self._in_post: set[int] = set()
        self._again: list[tuple[float, Said]] = []
        self.posts = 0
        self.repeated = 0

    @property
    def left(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    async def run(self) -> None:
        started = time.monotonic()
        rate = self._plan.size / self._plan.load_seconds
        room = asyncio.Semaphore(MOST_POSTS)
        released = 0
        async with asyncio.TaskGroup() as posts:
            while self.left or self._again or self._in_post:
                due = self._plan.size if not self.left else int((time.monotonic() - started) * rate)
                batch = self._batch(due - released)
                if not batch:
                    await asyncio.sleep(0.02)
                    continue
                released += sum(1 for said in batch if not said.posted)
                await room.acquire()
                posts.create_task(self._post(batch, room))

    def _batch(self, due: int) -> list[Said]:
        """Up to ten messages: new ones of several people in their order, and repetitions whose time has come."""
        size = self._dice.randint(1, 10)
        batch: list[Said] = []
        if due > 0:
            ready = [contact for contact, waiting in self._waiting.items() if waiting and contact not in self._in_post]
            self._dice.shuffle(ready)
            for contact in ready:
                many = min(self._dice.choice((1, 1, 1, 2, 3)), len(self._waiting[contact]), size - len(batch))
                batch += [self._waiting[contact].popleft() for _ in range(many)]
                if many:
                    self._in_post.add(contact)
                if len(batch) >= min(size, due):
                    break
        now = time.monotonic()
        repeats = [one for one in self._again if one[0] <= now][: 10 - len(batch)]
        for one in repeats:
            self._again.remove(one)
            self.repeated += 1
            batch.insert(self._dice.randint(0, len(batch)), one[1])
        return batch

    async def _post(self, batch: list[Said], room: asyncio.Semaphore) -> None:
        body = self._body(batch)
        signature = sign(body, self._simulator.settings.app_secret)
        now = time.time()
        for said in batch:
            said.posted = said.posted or now
            self._simulator.remember(said.id, wa_id(said.contact), self._simulator.settings.phone_number_id)
        self.posts += 1
        wait = 0.05
        try:
            while await self._ways.post(body, signature) != 200:
                await asyncio.sleep(wait * (0.5 + self._dice.random()))
                wait = min(1.0, wait * 2)
        finally:
            room.release()
        now = time.time()
        for said in batch:
            if not said.taken:
                said.taken = now
                self._in_post.discard(said.contact)
                if self._dice.random() < self._plan.duplicates:
                    self._again.append((time.monotonic() + self._dice.uniform(0.1, 6.0), said))

    def _body(self, batch: list[Said]) -> bytes:
        settings = self._simulator.settings
        people = [self._simulator.people.meet(wa_id(contact)) for contact in sorted({said.contact for said in batch})]
        value: Json = {
            "messaging_product": "whatsapp",
            "metadata": self._simulator.webhooks.metadata(settings.phone_number_id),
            "contacts": [person.contact() for person in people],
            "messages": [said.item for said in batch],
        }
        change: Json = {"field": "messages", "value": value}
        entry: Json = {"id": settings.waba_id, "changes": [change]}
        return encode({"object": "whatsapp_business_account", "entry": [entry]})

"""The platform's side of webhooks: bodies, signatures, batches, repetitions.

Source: WhatsApp Cloud API, webhooks: the body is JSON with non-ASCII characters as ``\\uXXXX`` (lower-case hex) and
``/`` as ``\\/``; ``X-Hub-Signature-256`` is ``sha256=`` and the HMAC-SHA256 of the exact bytes under the app secret;
anything but 200 is delivered again, with growing intervals.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import aiohttp

from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.journal import Journal
from channels.whatsapp.simulator.settings import SimulatorSettings, WebhookPlan

Signature = Literal["valid", "wrong", "missing"]
MOST_WAITING = 200_000


def encode(payload: object) -> bytes:
    """JSON as the platform puts it on the wire. Only strings can hold a slash, so replacing bytes is safe."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=True).replace("/", "\\/").encode("ascii")


def sign(body: bytes, app_secret: str) -> str:
    """The value of ``X-Hub-Signature-256``."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()


@dataclass(frozen=True, slots=True)
class Update:
    """One message or status on its way to the business."""

    phone_number_id: str
    kind: Literal["messages", "statuses"]
    item: Json
    contact: Json | None = None


@dataclass(slots=True)
class Post:
    """One HTTP POST, repeated with the same bytes until it is answered with 200."""

    body: bytes
    signature: str | None
    message_ids: tuple[str, ...] = ()
    attempts: int = 0


@dataclass(slots=True)
class WebhookCounts:
    """Counters since the last reset."""

    posted: int = 0
    delivered: int = 0
    refused: int = 0
    abandoned: int = 0
    dropped: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> Json:
        return {
            "posted": self.posted,
            "delivered": self.delivered,
            "refused": self.refused,
            "abandoned": self.abandoned,
            "dropped": self.dropped,
            "answers": dict(self.statuses),
        }


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """Outcome of the GET handshake; ``reason`` is a sentence when it failed."""

    ok: bool
    status: int
    reason: str = ""


class Webhooks:
    """Posts updates to the webhook URL. Owns its connections, its workers and its timers; ``close`` ends them all."""

    def __init__(self, settings: SimulatorSettings, journal: Journal, random_source: random.Random) -> None:
        self.plan: WebhookPlan = settings.webhooks
        self.counts = WebhookCounts()
        self._settings = settings
        self._journal = journal
        self._random = random_source
        self._session: aiohttp.ClientSession | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._queue: asyncio.Queue[Post] = asyncio.Queue()
        self._pending: list[Update] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = False

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._settings.webhook_concurrency, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": "facebookexternalua"}, auto_decompress=False
        )
        self._workers = [
            asyncio.create_task(self._work(), name=f"whatsapp-simulator-webhook-{number}")
            for number in range(self._settings.webhook_concurrency)
        ]

    async def close(self) -> None:
        self.forget()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def forget(self) -> None:
        """Drop everything that waits: batches, repetitions, the queue."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._pending.clear()
        for timer in self._timers:
            timer.cancel()
            self._settle()
        self._timers.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
            self._settle()
        self.counts = WebhookCounts()
        if self._open == 0:
            self._idle.set()

    async def idle(self) -> None:
        """Return once every webhook was answered with 200 or given up."""
        await self._idle.wait()

    def add(self, update: Update) -> None:
        """Queue an update; it shares a POST with others when the plan says so."""
        if self.plan.batch_max == 1:
            self._build([update])
            return
        self._pending.append(update)
        self._idle.clear()
        if len(self._pending) >= self.plan.batch_max:
            self.flush()
        elif self._flush_timer is None:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(self.plan.batch_ms / 1000, self.flush)

    def flush(self) -> None:
        """Send what waits for a batch now."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._pending:
            updates, self._pending = self._pending, []
            self._build(updates)

    def post_raw(self, body: bytes, signature: Signature = "valid") -> None:
        """Queue a POST with exactly these bytes."""
        header: str | None = sign(body, self._settings.app_secret)
        if signature == "missing":
            header = None
        elif signature == "wrong":
            header = "sha256=" + secrets.token_hex(32)
        self._offer(Post(body, header, _message_ids(body)))

    async def handshake(self) -> HandshakeResult:
        """Do what the dashboard does when a webhook URL is saved: GET with a challenge, compare the answer."""
        if not self._settings.webhook_url or self._session is None:
            return HandshakeResult(False, 0, "There is no webhook_url to verify; start the simulator with one.")
        challenge = str(secrets.randbelow(10**10))
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": self._settings.verify_token,
            "hub.challenge": challenge,
        }
        try:
            async with self._session.get(
                self._settings.webhook_url, params=query, timeout=self._timeout(), allow_redirects=False
            ) as answer:
                text = (await answer.content.read(4096)).decode("utf-8", "replace")
                if answer.status != 200:
                    reason = f"The webhook answered {answer.status}, not 200. Is its verify token the same?"
                    return HandshakeResult(False, answer.status, reason)
                if text != challenge:
                    return HandshakeResult(False, 200, "The webhook did not answer with the challenge alone.")
                return HandshakeResult(True, 200)
        except (aiohttp.ClientError, TimeoutError) as problem:
            return HandshakeResult(False, 0, f"The webhook could not be reached ({type(problem).__name__}).")

    def _build(self, updates: list[Update]) -> None:
        payload = {"object": "whatsapp_business_account", "entry": self._entries(updates)}
        body = encode(payload)
        ids = tuple(str(update.item["id"]) for update in updates if update.kind == "messages")
        post = Post(body, sign(body, self._settings.app_secret), ids)
        self._offer(post)
        if self.plan.duplicates and self._random.random() < self.plan.duplicates:
            self._offer(Post(post.body, post.signature, post.message_ids))

    def _entries(self, updates: list[Update]) -> list[Json]:
        """One value for each run of updates of the same number and kind, all inside one entry."""
        changes: list[Json] = []
        for (phone_number_id, kind), run in groupby(updates, key=lambda update: (update.phone_number_id, update.kind)):
            value: Json = {"messaging_product": "whatsapp", "metadata": self.metadata(phone_number_id)}
            members = list(run)
            contacts: list[Json] = []
            for update in members:
                if update.contact is not None and update.contact not in contacts:
                    contacts.append(update.contact)
            if contacts:
                value["contacts"] = contacts
            value[kind] = [update.item for update in members]
            changes.append({"value": value, "field": "messages"})
        return [{"id": self._settings.waba_id, "changes": changes}]

    def metadata(self, phone_number_id: str) -> Json:
        return {
            "display_phone_number": self._settings.display_number(phone_number_id),
            "phone_number_id": phone_number_id,
        }

    def _offer(self, post: Post) -> None:
        if not self._settings.webhook_url:
            return
        if self._queue.qsize() >= MOST_WAITING:
            self.counts.dropped += 1
            return
        self._open += 1
        self._idle.clear()
        if self.plan.jitter_ms:
            self._later(self._random.random() * self.plan.jitter_ms / 1000, lambda: self._queue.put_nowait(post))
        else:
            self._queue.put_nowait(post)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        handle: asyncio.TimerHandle

        def fire() -> None:
            self._timers.discard(handle)
            act()

        handle = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(handle)

    def _settle(self) -> None:
        self._open = max(0, self._open - 1)
        if self._open == 0 and not self._pending:
            self._idle.set()

    def _timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self.plan.timeout_ms / 1000)

    async def _work(self) -> None:
        while True:
            post = await self._queue.get()
            status, problem = await self._try(post)
            self._after_attempt(post, status, problem)

    async def _try(self, post: Post) -> tuple[int, str]:
        """The answer's status (0 when there was none) and a word for what went wrong."""
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        if post.signature is not None:
            headers["X-Hub-Signature-256"] = post.signature
        post.attempts += 1
        self.counts.posted += 1
        try:
            async with self._session.post(
                self._settings.webhook_url,
                data=post.body,
                headers=headers,
                timeout=self._timeout(),
                allow_redirects=False,
            ) as answer:
                await answer.read()
                return answer.status, ""
        except TimeoutError:
            return 0, "timeout"
        except (aiohttp.ClientError, OSError) as problem:
            return 0, type(problem).__name__

    def _after_attempt(self, post: Post, status: int, problem: str) -> None:
        answer = str(status) if status else problem
        self.counts.statuses[answer] = self.counts.statuses.get(answer, 0) + 1
        if status == 200:
            self.counts.delivered += 1
            if post.message_ids or self._failing:
                self._journal.add("webhook", {"ok": True, "message_ids": list(post.message_ids)})
            self._failing = False
            self._settle()
            return
        self.counts.refused += 1
        self._failing = True
        final = post.attempts > len(self.plan.retry_ms)
        self._journal.add(
            "webhook",
            {
                "ok": False,
                "status": status,
                "problem": problem,
                "attempt": post.attempts,
                "given_up": final,
                "message_ids": list(post.message_ids),
            },
        )
        if final:
            self.counts.abandoned += 1
            self._settle()
        else:
            self._later(self.plan.retry_ms[post.attempts - 1] / 1000, lambda: self._queue.put_nowait(post))


def _message_ids(body: bytes) -> tuple[str, ...]:
    """Ids of the inbound messages in a hand-made body; none when it is not of the usual shape."""
    try:
        payload = json.loads(body)
        return tuple(
            str(message["id"])
            for entry in payload["entry"]
            for change in entry["changes"]
            for message in change["value"].get("messages", [])
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()

"""The platform's side of webhooks: forms, signatures, repetitions, delays."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode

import aiohttp

from channels.twilio.simulator.settings import SimulatorSettings, WebhookPlan
from channels.twilio.simulator.signing import Fields, headers

Report = Callable[[str, dict[str, object]], None]


class Webhooks:
    """Posts forms. Owns its connections and tasks; ``close`` ends them all."""

    def __init__(self, settings: SimulatorSettings, dice: random.Random, report: Report) -> None:
        self.plan: WebhookPlan = settings.webhooks
        self.answers: Counter[str] = Counter()
        self._settings = settings
        self._dice = dice
        self._report = report
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(headers={"User-Agent": "TwilioProxy/1.1"})

    async def close(self) -> None:
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def forget(self) -> None:
        for task in self._tasks:
            task.cancel()

    def post(self, url: str, fields: Fields, *, after: float = 0.0, times: int = 1) -> None:
        """Send a form ``after`` so many seconds; ``times`` more than 1 are repetitions of the same."""
        for _ in range(times):
            task = asyncio.create_task(self._post(url, fields, after), name="twilio-simulator-webhook")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def ask(self, url: str, fields: Fields) -> tuple[int, str]:
        """Post a form and take the answer, as for TwiML: status and text. With the plan's chance it is asked twice, as
        Twilio does when the first is slow; the first answer counts."""
        if not url or self._session is None:
            return 0, ""
        token = f"{self._dice.getrandbits(128):032x}"
        if self._dice.random() < self.plan.duplicates:
            status, text = await self._ask(url, fields, token)
            again = await self._ask(url, fields, token)
            self._report("repeated", {"url": url, "same": again == (status, text)})
            return status, text
        return await self._ask(url, fields, token)

    async def _ask(self, url: str, fields: Fields, token: str) -> tuple[int, str]:
        assert self._session is not None
        sent = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "I-Twilio-Idempotency-Token": token,
            **self._signature(url, fields),
        }
        try:
            async with (
                asyncio.timeout(self.plan.timeout_ms / 1000),
                self._session.post(url, data=urlencode(fields), headers=sent, allow_redirects=False) as answer,
            ):
                status, body = answer.status, await answer.text()
            outcome = str(status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status, outcome, body = 0, type(error).__name__, ""
        self.answers[outcome] += 1
        self._report("webhook", {"url": url, "outcome": outcome, "body": body[:500]})
        return status, body

    async def idle(self) -> None:
        """Return once nothing is on its way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _post(self, url: str, fields: Fields, after: float) -> None:
        wait = after + self._dice.random() * self.plan.jitter_ms / 1000
        if wait:
            await asyncio.sleep(wait)
        if self._session is None or not url:
            return
        sent = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", **self._signature(url, fields)}
        try:
            async with (
                asyncio.timeout(self.plan.timeout_ms / 1000),
                self._session.post(url, data=urlencode(fields), headers=sent, allow_redirects=False) as answer,
            ):
                body = await answer.text()
            outcome = str(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome, body = type(error).__name__, ""
        self.answers[outcome] += 1
        self._report("webhook", {"url": url, "outcome": outcome, "body": body[:500]})

    def _signature(self, url: str, fields: Fields) -> dict[str, str]:
        if self.plan.signature == "missing":
            return {}
        token = self._settings.auth_token if self.plan.signature == "valid" else "somebody-else's-token"
        key = self._settings.signing_key if self.plan.signature == "valid" else ""
        return headers(url, fields, auth_token=token, signing_key=key)

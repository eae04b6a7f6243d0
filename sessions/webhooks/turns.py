"""Requests for answers in the list of deliveries: what `brain: webhook` asked of a registered endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import Final

from omni.model.webhook import ONCE, Dialect, WebhookAttempt, WebhookDelivery
from omni.store.base import Store, StoreError, StoreUnavailableError
from sessions.brains.webhook.envelope import channel_name
from sessions.brains.webhook.record import EVENT, TurnRecord
from sessions.webhooks.book import EndpointBook

log = logging.getLogger("omni.webhooks")

MOST: Final = 1_000
"""Records that wait for the store; while it is away, older ones are given up."""
AT_ONCE: Final = 100


class TurnList:
    """A `sessions.brains.webhook.record.TurnLog` that writes turns beside the deliveries of events, in its own time."""

    def __init__(self, store: Store, book: EndpointBook) -> None:
        self._store = store
        self._book = book
        self._waiting: deque[TurnRecord] = deque(maxlen=MOST)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="list turns of webhooks")

    async def stop(self) -> None:
        """Write what waits, once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        while self._waiting and await self._write():
            pass

    def note(self, record: TurnRecord) -> None:
        if record.endpoint is not None:
            self._waiting.append(record)
            self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting and await self._write():
                pass

    async def _write(self) -> bool:
        """Whether the oldest are out of the way. They wait until the store has them: being cut loses none."""
        some = list(islice(self._waiting, AT_ONCE))
        rows = [self._listed(record) for record in some]
        try:
            await self._store.tell("", 0, rows, now=some[-1].at)
        except StoreUnavailableError as error:
            log.warning("%d turns of webhooks are not listed yet: %s", len(self._waiting), error)
            return False
        except StoreError as error:
            log.warning("%d turns of webhooks are not listed: %s", len(rows), error)
        for record in some:
            if self._waiting and self._waiting[0] is record:  # else it was given up meanwhile
                self._waiting.popleft()
        return True

    def _listed(self, record: TurnRecord) -> WebhookDelivery:
        asked = next((each for each in self._book.of(record.org) if each.id == record.endpoint), None)
        return _row(record, asked.dialect if asked is not None else "omni")


def _row(record: TurnRecord, dialect: Dialect) -> WebhookDelivery:
    error = record.error or ("cut: the person went on, or somebody took over" if record.was_cut else None)
    is_success = record.error is None and record.status is not None and 200 <= record.status < 300
    attempt = WebhookAttempt(
        at=record.at, ms=record.ms, status=record.status, error=error, reply=record.reply, is_final=True
    )
    return WebhookDelivery(
        id=record.id,
        org=record.org,
        endpoint=record.endpoint or "",
        agent=record.agent,
        dialect=dialect,
        call=record.call,
        lane=f"{ONCE}{record.id}",
        seq=record.turn,
        event=EVENT,
        channel=channel_name(record.transport),
        message=record.message,
        body=record.body,
        state="success" if is_success else "failed",
        tries=1,
        attempt_count=1,
        attempts=(attempt,),
        created_at=record.at,
        since=record.at,
        finished_at=record.at + record.ms / 1000,
    )

"""A log as one reader gets it: envelopes from a cursor on, then the mark that this was all, then what comes.

Each reader is an async iterator of what to send next. It is read to its end or closed, and not cancelled in between:
what it has read from the hub or the store must be sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, Literal

from pydantic import JsonValue

from omni.gateway.streams.gap import snapshot_of
from omni.gateway.streams.live_events import live_event, passing_events
from omni.gateway.streams.shown import Envelope, control, shown, shown_milestone
from omni.live.told import Told
from omni.model.call import Call
from omni.store.base import MILESTONES, Store

PAGE: Final = 500

LOOK_SECONDS: Final = 25.0
"""How often an agent's log is read although nothing was told of its calls: the telling may have been lost."""


class StoppedError(Exception):
    """This process stops following: the reader connects again, to another."""

    def __init__(self) -> None:
        super().__init__("the server stops; connect again")


async def call_log(
    store: Store,
    call: Call,
    news: AsyncIterator[Told],
    after: int,
    *,
    to_participant: bool = False,
    with_live: bool = False,
) -> AsyncGenerator[list[Envelope]]:
    """A call's log, from what follows the call (`Hub.follow_call`), and with `with_live` what is too fleeting for it.
    Ends after the log is sealed; raises StoppedError when the news end before."""
    delivered = scanned = after
    async for told in news:
        frames: list[Envelope] = []
        if told.entries:
            if told.entries[0].seq > scanned + 1:
                resume = told.entries[0].seq
                delivered = max(delivered, resume - 1)
                gap: dict[str, JsonValue] = {"from": scanned + 1, "resume_from": resume}
                gap["snapshot"] = await snapshot_of(store, call.id)
                frames.append(control("log.gap", delivered, time.time(), call.id, call.agent, **gap))
            scanned = told.entries[-1].seq
            frames += [frame for entry in told.entries if (frame := shown(entry, to_participant=to_participant))]
            if frames:
                delivered = _seq(frames[-1])
        elif not told.signals:
            frames.append(control("log.caught_up", delivered, time.time(), call.id, call.agent, seq=delivered))
        if with_live:
            frames += passing_events(told)
        if frames:
            yield frames
    now = await store.call(call.id)
    if now is not None and now.is_open:
        raise StoppedError


async def agent_log(
    store: Store,
    org: str,
    agent: str,
    news: AsyncIterator[Told],
    after: int,
    *,
    with_live: bool = False,
    look_every: float = LOOK_SECONDS,
) -> AsyncGenerator[list[Envelope]]:
    """An agent's log, and with `with_live` what else its calls tell. `news` (`Hub.follow_agent`) say when to read on;
    what counts is what the store has. Raises StoppedError when the news end."""
    delivered = after
    is_caught_up = False
    live: list[Envelope] = []
    while True:
        page = await store.milestones(org, agent, after=delivered, limit=PAGE)
        frames: list[Envelope] = []
        if page:
            if page[0].number > delivered + 1:
                gap: dict[str, JsonValue] = {"from": delivered + 1, "resume_from": page[0].number}
                frames.append(control("log.gap", page[0].number - 1, time.time(), None, agent, **gap))
            frames += [shown_milestone(milestone) for milestone in page]
            delivered = page[-1].number
        if len(page) < PAGE:
            frames += live
            if not is_caught_up:
                frames.append(control("log.caught_up", delivered, time.time(), None, agent, seq=delivered))
                is_caught_up = True
        if frames:
            yield frames
        due = asyncio.get_running_loop().time() + look_every
        while len(page) < PAGE:
            told = await _told(news, due)
            if told is None:
                raise StoppedError
            if told == "look":
                live = []
                break
            live = _live(told) if with_live else []
            if any(entry.fact.type in MILESTONES for entry in told.entries):
                break
            if live:
                yield live


async def _told(news: AsyncIterator[Told], due: float) -> Told | Literal["look"] | None:
    """What is told next; `look` when it is time for that (`due`, by the loop's clock), however much is told; None when
    there will be no more."""
    try:
        async with asyncio.timeout_at(due):
            async for told in news:
                return told
    except TimeoutError:
        return "look"
    return None


def _live(told: Told) -> list[Envelope]:
    """What is not in the agent's log."""
    found = (live_event(entry) for entry in told.entries if entry.fact.type not in MILESTONES)
    return [*(event for event in found if event is not None), *passing_events(told)]


def _seq(frame: Envelope) -> int:
    seq = frame["seq"]
    assert isinstance(seq, int)
    return seq

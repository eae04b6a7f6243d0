"""One agent's calls as the connected program is told of them: the log followed, and put into the codec's words."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final, Protocol

from aiohttp import WSCloseCode
from pydantic import JsonValue

from omni.bus.base import BusError
from omni.gateway.client.codec import calls, turns
from omni.gateway.client.codec.view import CallView, Event, Record
from omni.gateway.client.gear import Gear
from omni.gateway.client.recordings import send_recording
from omni.gateway.client.sockets import Socket
from omni.live.hub import SlowFollowerError
from omni.live.told import Offer, Preparing, Signal, Told
from omni.model.entry import (
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallRecorded,
    CallStarted,
    Entry,
    HandoffActive,
    HandoffRequested,
    ReplyRejected,
    TurnContinued,
    TurnStarted,
)
from omni.store.base import StoreError
from sessions.document import state_of
from sessions.history import asked, lines_for

log = logging.getLogger("omni.client")

WAITING: Final = 20_000
"""News that may wait until the store has answered about those before them."""

RINGING: Final = 20
"""Entries among which a call's start is: it is the first, but for what is told while it rings."""


class Witness(Protocol):
    """Whoever else on this connection must know what became of a call."""

    async def user_went_on(self, call: str) -> None:
        """The user said more: what is being written is void."""

    async def was_taken_over(self, call: str) -> None:
        """A person has the conversation: what is being written is void."""

    def was_rejected(self, call: str, message_id: str) -> None: ...

    def was_cut(self, call: str, message_id: str) -> bool:
        """A spoken message was interrupted: whether the program was still writing it."""

    def is_streamed(self, call: str, message_id: str) -> bool:
        """Whether the program writes, or wrote, this spoken message word by word."""

    def has_ended(self, call: str) -> None: ...

    async def unprepared(self, told: Told, turn: int) -> None:
        """A generation waits for a program that was never told of its call."""

    def started(self, contact: str, event: Event) -> Event:
        """The start event of a call with a contact, with what else the program should know."""

    def as_dialled(self, event: Event) -> Event:
        """An event of a call that was placed, with the number as the program wrote it."""


class Feed:
    """`begin` it before the program is told that it is registered, `release` it afterwards: nothing is lost between,
    and nothing comes too early."""

    def __init__(self, gear: Gear, socket: Socket, org: str, slug: str, agent_id: str, witness: Witness) -> None:
        self._gear = gear
        self._socket = socket
        self._org = org
        self._slug = slug
        self._witness = witness
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._mail: deque[Told] = deque()
        self._has_mail = asyncio.Event()
        self._is_released = asyncio.Event()
        self._calls: dict[str, tuple[Told, CallView]] = {}
        self._caught_up: dict[str, int] = {}
        self._agent_id = agent_id

    def rename(self, agent_id: str) -> None:
        """The program writes its agent otherwise from here on."""
        self._agent_id = agent_id

    def find(self, call: str) -> tuple[Told, CallView] | None:
        """An open call that was heard of, and the program's view of it. The first has the call's addresses."""
        return self._calls.get(call)

    async def begin(self) -> None:
        """Listen. Raises BusError."""
        news = await self._stack.enter_async_context(self._gear.hub.follow_agent(self._org, self._slug))
        self._tasks = [
            asyncio.create_task(self._watched(lambda: self._listen(news)), name=f"hear the calls of {self._slug}"),
            asyncio.create_task(self._watched(self._tell_all), name=f"tell a program of {self._slug}"),
        ]

    def release(self) -> None:
        self._is_released.set()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._stack.aclose()

    async def _watched(self, work: Callable[[], Awaitable[None]]) -> None:
        """Without it the program would miss what happens: it has to connect again, and is told anew what waits."""
        try:
            await work()
        except (SlowFollowerError, StoreError, BusError) as error:
            log.warning("a program must connect again: %s", error, extra={"agent": self._slug})
            self._socket.close(WSCloseCode.TRY_AGAIN_LATER, "connect again")
        except Exception:
            log.exception("a program's calls cannot be told", extra={"agent": self._slug})
            self._socket.close(WSCloseCode.INTERNAL_ERROR, "connect again")

    async def _listen(self, news: AsyncIterator[Told]) -> None:
        """Take the news as they come: when a program arrives, all that waits for it is offered at once."""
        async for told in news:
            self._mail.append(told)
            self._has_mail.set()
            if len(self._mail) > WAITING:
                raise SlowFollowerError(f"more than {WAITING} news of {self._slug} were waiting to be told")

    async def _tell_all(self) -> None:
        await self._is_released.wait()
        while True:
            self._has_mail.clear()
            while self._mail:
                await self._tell(self._mail.popleft())
            await self._has_mail.wait()

    async def _tell(self, told: Told) -> None:
        _, view = self._calls.get(told.call) or (told, self._stranger(told))
        for entry in told.entries:
            if entry.seq <= self._caught_up.get(told.call, 0):
                self._tell_past(view, entry)
            else:
                view = await self._entry(told, view, entry)
        for signal in told.signals:
            view = await self._signal(told, view, signal)
        if view.has_ended:
            self._calls.pop(told.call, None)
            self._caught_up.pop(told.call, None)
        elif told.entries or view.is_announced or told.call in self._calls:
            header = told.model_copy(update={"entries": (), "signals": ()})
            self._calls[told.call] = (header, view)

    def _stranger(self, told: Told) -> CallView:
        transport = told.channel.partition(":")[0]
        return CallView(agent_id=self._agent_id, call=told.call, transport=transport, person=told.person or "")

    async def _entry(self, told: Told, view: CallView, entry: Entry) -> CallView:
        fact = entry.fact
        if isinstance(fact, TurnStarted) and fact.offered and not view.is_announced:
            return await self._reopen(view, fact, entry.ts)
        record = await self._record(told.call) if isinstance(fact, CallEnded) else None
        view, events = calls.told(view, entry, record)
        if isinstance(fact, CallStarted) and events:
            events[0] = self._witness.started(fact.contact, events[0])
        elif isinstance(fact, BotSaid) and view.has_sound and self._witness.is_streamed(told.call, fact.id):
            events = [event | {"text": ""} for event in events]  # what was written so far is not the message
        if view.has_sound and view.direction == "outbound":
            events = [self._witness.as_dialled(event) for event in events]
        if isinstance(fact, CallRecorded) and events:
            await send_recording(self._gear, self._socket, events[0], fact)
        else:
            self._socket.send(*events)
        match fact:
            case TurnContinued():
                await self._witness.user_went_on(told.call)
            case HandoffRequested() | HandoffActive():
                await self._witness.was_taken_over(told.call)
            case ReplyRejected():
                self._witness.was_rejected(told.call, fact.id)
            case BotInterrupted():
                # A program stops writing when the user goes on, and at nothing else.
                if self._witness.was_cut(told.call, fact.id) and view.is_announced and fact.reason == "user_spoke":
                    self._socket.send(turns.goes_on(view, view.turn, entry.ts))
            case CallEnded():
                self._witness.has_ended(told.call)
        return view

    def _tell_past(self, view: CallView, entry: Entry) -> None:
        """News that is older than what the program was told the call is: of it, only what is the agent's affair."""
        self._socket.send(*calls.told(replace(view, is_announced=False), entry)[1])

    async def _signal(self, told: Told, view: CallView, signal: Signal) -> CallView:
        if isinstance(signal, Offer) and not view.is_announced:
            return await self._offered(view, signal)
        if isinstance(signal, Preparing) and not view.is_announced:
            await self._witness.unprepared(told, signal.turn)
        self._socket.send(*calls.signalled(view, signal))
        return view

    async def _offered(self, view: CallView, offer: Offer) -> CallView:
        """A turn that was begun before this program came, as it is by now."""
        loaded = await self._gear.store.load_call(view.call)
        state = state_of(loaded) if loaded is not None else None
        if state is None or state.offered is None or state.offered.turn != offer.turn:
            return view
        text = "\n".join(message.text for message in asked(state, state.offered.answers))
        fact = TurnStarted(turn=offer.turn, answers=state.offered.answers, offered=True, text=text)
        self._caught_up[view.call] = state.seq  # the news of these entries may still be on their way
        return await self._reopen(view, fact, state.offered.at)

    async def _reopen(self, view: CallView, turn: TurnStarted, at: float) -> CallView:
        """Tell the program of a call that is older than its connection, since it has something to answer."""
        first = await self._gear.store.entries(view.call, limit=RINGING)
        began = next(((entry.fact, entry.ts) for entry in first if isinstance(entry.fact, CallStarted)), None)
        if began is None:
            return view
        view, events = calls.started(view, *began)
        view, more = turns.offered_again(view, turn, at)
        self._socket.send(*events, *more)
        return view

    async def _record(self, call: str) -> Record:
        """All of a call, for the event of its end."""
        loaded = await self._gear.store.load_call(call)
        if loaded is None:
            return Record()
        state = state_of(loaded)
        lines = [line.wire() for line in lines_for(state, ())]
        said: list[dict[str, JsonValue]] = [
            {"role": line.role, "text": line.text}
            for line in state.lines
            if line.role in ("user", "assistant") and line.tool is None and line.text
        ]
        count = state.user_messages + state.bot_messages + state.human_messages
        return Record(messages=tuple(lines), transcript=tuple(said), count=count)

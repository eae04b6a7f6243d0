"""Chats that a program or a terminal begins itself, with `llm.chat`: a visitor's conversation behind each session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from omni.bus.base import BusError
from omni.gateway.client.chat_turn import ChatTurn, of_people
from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import Event
from omni.gateway.client.frames import LlmChat
from omni.gateway.client.gear import Gear
from omni.gateway.client.sockets import Socket
from omni.live.hub import SlowFollowerError
from omni.live.online import is_online
from omni.live.told import Told, Words
from omni.live.visitor import Visit, Visitor
from omni.model.entry import CallEnded, CallStarted
from omni.model.inbound import Opening
from omni.model.message import Message
from omni.model.slugs import slug_of
from omni.store.base import StoreError

log = logging.getLogger("omni.client")

WAITING: Final = 20
"""Texts of one session that wait for the turn before them; more are refused."""


class Chats:
    """The sessions of one socket; they end with it."""

    def __init__(self, gear: Gear, socket: Socket) -> None:
        self._gear = gear
        self._socket = socket
        self._sessions: dict[str, Chat] = {}
        self._by_contact: dict[str, Chat] = {}

    async def handle(self, frame: LlmChat, *, is_ours: bool) -> None:
        """One text for an agent. `is_ours`: this socket has the agent, and is told of the call in any case. Raises
        StoreError and BusError."""
        session = self._sessions.get(frame.session_id)
        slug = slug_of(frame.agent_id)
        if session is None:
            refusal = await self._refusal(slug, frame.agent_id)
            if refusal is not None:
                self._socket.send(answers.chat_error(frame.session_id, refusal))
                return
            session = await self._begin(frame, slug, is_ours=is_ours)
        if not session.ask(frame.text):
            sentence = f"more than {WAITING} messages of this session wait for their turn; wait for an answer"
            self._socket.send(answers.chat_error(frame.session_id, sentence))

    def greeted(self, contact: str, event: Event) -> Event:
        """The start event of one of our own sessions, with what its requester reads there."""
        chat = self._by_contact.get(contact)
        if chat is None:
            return event
        return event | {"session_id": chat.id, "model": chat.model}

    async def close(self) -> None:
        await asyncio.gather(*(session.end("disconnected") for session in list(self._sessions.values())))

    async def _refusal(self, slug: str, name: str) -> str | None:
        if not slug or not await self._is_online(slug):
            return f"Agent '{name}' is not online"
        if len(self._sessions) >= self._gear.limits.chats:
            return f"this connection has {len(self._sessions)} chats open; end some, or open another connection"
        return None

    async def _is_online(self, slug: str) -> bool:
        org, presence = self._socket.org, self._gear.presence
        if is_online(presence, org, slug, self._gear.book.get(org, slug)):
            return True
        return await presence.look(org, slug) is not None  # its program may have come this very moment

    async def _begin(self, frame: LlmChat, slug: str, *, is_ours: bool) -> Chat:
        who = Visitor(self._socket.org, slug, f"{self._socket.id}:{frame.session_id}")
        visit = await self._gear.visits.enter(who)
        agent = self._gear.book.get(self._socket.org, slug)
        model = (agent.llm.model if agent is not None else None) or self._gear.model
        chat = Chat(self._gear, self._socket, frame, visit, model, is_ours=is_ours)
        self._sessions[frame.session_id] = self._by_contact[visit.contact.id] = chat
        chat.start(self._forget)
        return chat

    def _forget(self, chat: Chat) -> None:
        if self._sessions.get(chat.id) is chat:
            del self._sessions[chat.id]
            del self._by_contact[chat.contact]


class Chat:
    """One session: a text at a time is put to the agent, and what comes of it is told to whoever asked; and so is, at
    any time, what people on our side do in the conversation."""

    def __init__(self, gear: Gear, socket: Socket, first: LlmChat, visit: Visit, model: str, *, is_ours: bool) -> None:
        self._gear = gear
        self._socket = socket
        self._visit = visit
        self._agent_id = first.agent_id
        self._opening = Opening(metadata=first.metadata or {})
        self._is_ours = is_ours
        self._waiting: deque[str] = deque()
        self._has_text = asyncio.Event()
        self._call: str | None = None
        self._turn: ChatTurn | None = None
        self._task: asyncio.Task[None] | None = None
        self.id = first.session_id
        self.contact = visit.contact.id
        self.model = model

    def start(self, forget: Callable[[Chat], None]) -> None:
        self._task = asyncio.create_task(self._run(), name=f"chat session {self.id[:40]}")
        self._task.add_done_callback(lambda _: forget(self))

    def ask(self, text: str) -> bool:
        if len(self._waiting) >= WAITING:
            return False
        self._waiting.append(text)
        self._has_text.set()
        return True

    async def end(self, reason: str) -> None:
        """Stop, and end the call."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._hang_up(reason)

    async def _hang_up(self, reason: str) -> None:
        call, self._call = self._call, None
        if call is not None:
            with contextlib.suppress(BusError):  # then it ends when it has been idle
                await self._visit.end(call, reason)

    async def _run(self) -> None:
        try:
            async with self._visit.follow() as news, asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(news))
                while await self._has_more():
                    await self._put(self._waiting.popleft())
                listening.cancel()
            await self._hang_up("idle_timeout")
        except* (StoreError, BusError, SlowFollowerError) as errors:
            log.warning("a chat of a program broke off: %s", errors.exceptions[0])
            self._send(answers.chat_error(self.id, "the server cannot go on with this chat now; try again in a moment"))

    async def _has_more(self) -> bool:
        """Wait for the next text; False when there was none for too long."""
        if not self._waiting:
            self._has_text.clear()
            try:
                async with asyncio.timeout(self._gear.timing.chat_idle):
                    await self._has_text.wait()
            except TimeoutError:
                return False
        return True

    async def _put(self, text: str) -> None:
        """Put a text to the agent; returns when it has its answer."""
        if not self._is_ours:
            self._send(answers.chat_started(self.id, self._agent_id, self.model))
        self._turn = ChatTurn(self.id, self.model, self._gear.new_id("chat"))
        await self._visit.say(Message.of(text), self._turn.asked, self._opening)
        await self._turn.over.wait()

    async def _listen(self, news: AsyncIterator[Told]) -> None:
        async for told in news:
            for entry in told.entries:
                self._hear(told.call, entry.fact)
            for signal in told.signals:
                if isinstance(signal, Words) and self._turn is not None:
                    self._send(*self._turn.words(signal))

    def _hear(self, call: str, fact: object) -> None:
        match fact:
            case CallStarted():
                self._call = call
            case CallEnded() if call == self._call:
                self._call = None
            case _ if not self._is_ours:  # a program that has the agent itself hears of people in any case
                self._send(*of_people(self.id, fact))
        if self._turn is not None:
            self._send(*self._turn.hear(fact))

    def _send(self, *events: Event) -> None:
        """A turn that failed is no error of a program that has the agent itself: it hears of the call in any case."""
        self._socket.send(*(e for e in events if not (self._is_ours and e["event"] == "llm.chat.error")))

"""People take over through a program: one call, one person, or the whole agent; and write to the customer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, Protocol

from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import PROGRAM, CallView
from omni.gateway.client.frames import SessionPause, SessionResume, SessionSend, Takeover
from omni.gateway.client.gear import Gear
from omni.gateway.client.outbox import Outbox
from omni.gateway.client.sockets import Socket
from omni.live.presence import digits
from omni.live.told import Told
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, known_by
from omni.model.inbound import Pause, Resume, SendMessage
from omni.model.message import Message
from omni.store.base import CallFilter

PAGE: Final = 200


class Registrations(Protocol):
    def agent(self, agent_id: str) -> str | None:
        """The slug of an agent of this socket, as the program writes it."""

    async def call(self, call_id: str) -> tuple[Told, CallView] | None: ...


class Takeovers:
    """The acknowledgement of a call's pause is in its log; those of a person's or an agent's are sent from here."""

    def __init__(
        self,
        gear: Gear,
        socket: Socket,
        outbox: Outbox,
        registrations: Registrations,
        head: Callable[[Told], dict[str, Any]],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._gear = gear
        self._socket = socket
        self._outbox = outbox
        self._registrations = registrations
        self._head = head
        self._spawn = spawn

    async def handle(self, frame: Takeover) -> None:
        """Raises StoreError and BusError."""
        slug = self._registrations.agent(frame.agent_id)
        if slug is None:
            return
        if frame.session_id is not None:
            await self._one_call(frame, frame.session_id, slug)
        elif frame.contact is not None:
            await self._one_person(frame, frame.contact, slug)
        elif isinstance(frame, SessionSend):
            self._refuse(frame, "name whom to send to, with `session_id` or `contact`")
        else:
            await self._everybody(frame, slug)

    # one call

    async def _one_call(self, frame: Takeover, session_id: str, slug: str) -> None:
        found = await self._registrations.call(session_id)
        if found is None or found[0].agent != slug:
            if isinstance(frame, SessionSend) and frame.contact is not None:
                await self._one_person(frame, frame.contact, slug)
            return
        told, view = found
        head = self._head(told)
        match frame:
            case SessionPause():
                await self._outbox.put(Pause(**head, by=PROGRAM))
            case SessionResume():
                await self._outbox.put(Resume(**head, by=PROGRAM))
            case SessionSend():
                message = Message.of(frame.text)
                await self._outbox.put(SendMessage(**head, by=PROGRAM, message=message, takes_over=False))
        if not isinstance(frame, SessionSend) and view.is_paused is isinstance(frame, SessionPause):
            self._acknowledge(frame, session=told.call)  # it is so already: the log will not say it again

    # one person

    async def _one_person(self, frame: Takeover, person: str, slug: str) -> None:
        contact = await self._contact(person)
        if contact is None:
            self._refuse(frame, f"nobody with the number {person[:40]} has written to {frame.agent_id!r} yet")
            return
        if not isinstance(frame, SessionSend):
            paused = isinstance(frame, SessionPause)
            await self._gear.commands.pause_person(contact, slug, PROGRAM, paused=paused)
            self._acknowledge(frame, contact=person)
            return
        call = await self._newest_call(contact, slug)
        if call is None:
            self._refuse(frame, f"{frame.agent_id!r} has no conversation with {person[:40]} to send this in")
            return
        await self._outbox.put(
            SendMessage(**self._gear.commands.head(call), by=PROGRAM, message=Message.of(frame.text), takes_over=False)
        )

    async def _contact(self, person: str) -> Contact | None:
        number = digits(person)
        found = await self._gear.store.find_contacts(self._socket.org, known_by(number)) if number else []
        return found[0] if found else None

    async def _newest_call(self, contact: Contact, slug: str) -> Call | None:
        """The person's newest call on a number of the agent's, open or not."""
        agent = await self._gear.store.agent(self._socket.org, slug)
        found: list[Call] = []
        for channel in agent.channels if agent is not None else ():
            if channel.kind in ("whatsapp", "sms"):
                conversation = conversation_key(self._socket.org, slug, channel.id, contact.id)
                call = await self._gear.store.last_call(conversation)
                found += [call] if call is not None else []
        return max(found, key=lambda call: call.started_at, default=None)

    # the whole agent

    async def _everybody(self, frame: Takeover, slug: str) -> None:
        paused = isinstance(frame, SessionPause)
        await self._gear.commands.pause_agent(self._socket.org, slug, PROGRAM, paused=paused)
        self._acknowledge(frame)
        if not paused:
            self._spawn(self._resume_all(slug), "resume an agent's calls")

    async def _resume_all(self, slug: str) -> None:
        """Resuming the agent resumes every call and every person that was paused on their own."""
        seen: set[str] = set()
        async for call in self._calls(slug):
            if call.is_open and call.handler != "bot":
                await self._gear.commands.resume(call, PROGRAM)
            if call.contact in seen:
                continue
            seen.add(call.contact)
            contact = await self._gear.store.contact(call.contact)
            if contact is not None and contact.is_paused:
                await self._gear.commands.pause_person(contact, slug, PROGRAM, paused=False)

    async def _calls(self, slug: str) -> AsyncIterator[Call]:
        """All open calls, and the newest of those that are over: their people may be paused still."""
        where = CallFilter(org=self._socket.org, agent=slug)
        for call in await self._gear.store.calls(where, limit=PAGE):
            if not call.is_open:
                yield call
        before: str | None = None
        while True:
            where = CallFilter(org=self._socket.org, agent=slug, is_open=True, before=before)
            page = await self._gear.store.calls(where, limit=PAGE)
            for call in page:
                yield call
            if len(page) < PAGE:
                return
            before = page[-1].id

    def _acknowledge(self, frame: Takeover, *, session: str | None = None, contact: str | None = None) -> None:
        event = "session.paused" if isinstance(frame, SessionPause) else "session.resumed"
        self._socket.send(answers.taken_over(event, frame.agent_id, session=session, contact=contact))

    def _refuse(self, frame: Takeover, sentence: str) -> None:
        event = frame.event if isinstance(frame, SessionPause | SessionResume | SessionSend) else "session"
        about = {"agent_id": frame.agent_id, "session_id": frame.session_id, "contact": frame.contact}
        self._socket.send(answers.error("NOT_FOUND", f"{event}: {sentence}", **about, command=event))

"""Who has a conversation: taking it over, and learning truthfully what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.casework import Casework, assigned, assigned_if_nobody
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.naming import party_of
from omni.gateway.inbox.rows import GROUP
from omni.live.hub import SlowFollowerError
from omni.model.base import Config
from omni.model.call import SOUND, Call, conversation_key
from omni.model.inbound import Pause

WAIT_SECONDS: Final = 2.0
"""How long an answer waits for what it asked for to be done."""

LOOK_SECONDS: Final = 0.02


class TakeBody(Config):
    """`steal` takes it from a colleague, too."""

    steal: bool = False


class Holding:
    def __init__(self, kit: Kit, casework: Casework, *, wait: float = WAIT_SECONDS) -> None:
        self._kit = kit
        self._casework = casework
        self._wait = wait

    async def take(self, call: Call, actor: Actor, *, steals: bool) -> Call:
        """The call as it is once the actor has it, or as it is after a while; one that has ended is begun anew.

        Raises InboxError 409 `taken` when a colleague has it.
        """
        if goes_on_in(call) != call.conversation:
            call = await self._kit.store.last_call(goes_on_in(call)) or call
        check_free(call, actor, steals=steals)
        if not has(call, actor):
            pause = Pause(**self._kit.commands.head(call), by=actor.id, steals=steals, reopens=True)
            call = await self.until(
                call,
                lambda: self._kit.commands.issue(pause),
                lambda now: has(now, actor) or (not steals and now.is_open and now.handler == "human"),
            )
            check_free(call, actor, steals=steals)
        if actor.operator is not None and has(call, actor):
            alter = assigned(actor.id) if steals else assigned_if_nobody(actor.id)
            await self._casework.change(actor.org, call.conversation, actor.id, alter)
        return call

    async def until(self, call: Call, act: Callable[[], Awaitable[None]], is_done: Callable[[Call], bool]) -> Call:
        """Do it; returns the conversation's newest call once it is as wanted, or as it is after a while."""
        store, conversation = self._kit.store, goes_on_in(call)
        async with self._kit.hub.follow_conversation(call.org, call.agent, conversation) as news:
            await act()
            with contextlib.suppress(TimeoutError, SlowFollowerError):
                async with asyncio.timeout(self._wait):
                    async for _ in news:
                        now = await store.last_call(conversation)
                        if now is not None and is_done(now):
                            return now
        return await store.last_call(conversation) or call

    async def until_person(self, contact_id: str, *, paused: bool) -> None:
        """Returns once the person's record says so, or after a while."""

        async def is_so() -> bool:
            contact = await self._kit.store.contact(contact_id)
            return contact is None or contact.is_paused is paused

        await self._look_until(is_so)

    async def until_merged(self, one: str, other: str) -> str | None:
        """Which of two people's records is left, once only one is; None when both are still there after a while."""
        left: list[str] = []

        async def is_one() -> bool:
            left[:] = [id_ for id_ in (one, other) if await self._kit.store.contact(id_) is not None]
            return len(left) < 2

        return left[0] if await self._look_until(is_one) and left else None

    async def _look_until(self, is_so: Callable[[], Awaitable[bool]]) -> bool:
        """Nothing is told of people's records, so we look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait):
                while True:
                    if await is_so():
                        return True
                    await asyncio.sleep(LOOK_SECONDS)
        return False


def goes_on_in(call: Call) -> str:
    """The conversation in which the customer's next message will be: another one for a call that has ended under a
    record which was merged into another."""
    party = party_of(call.conversation)
    if call.is_open or party.startswith(GROUP) or party == call.contact:
        return call.conversation
    return conversation_key(call.org, call.agent, call.channel, call.contact)


def has(call: Call, actor: Actor) -> bool:
    return call.is_open and call.handler == "human" and call.handled_by == actor.id


def is_free(call: Call, actor: Actor, *, steals: bool = False) -> bool:
    """Whether no colleague has the call, or it is to be taken from them."""
    return steals or not (call.is_open and call.handler == "human" and call.handled_by != actor.id)


def check_heard(call: Call) -> None:
    """Raises InboxError 409 for a call with sound that nobody would hear anything in: it has ended, or it rings."""
    if call.transport in SOUND and (not call.is_open or call.is_ringing):
        why = "it has not been answered yet" if call.is_open else "it has ended; nothing can be said in it any more"
        raise InboxError(409, "not_in_progress", f"the call is not in progress: {why}")


def check_free(call: Call, actor: Actor, *, steals: bool = False) -> None:
    """Raises InboxError 409 when a colleague has the call."""
    if not is_free(call, actor, steals=steals):
        raise InboxError(
            409,
            "taken",
            "a colleague has this conversation; take it over from them to go on",
            handled_by=call.handled_by,
        )

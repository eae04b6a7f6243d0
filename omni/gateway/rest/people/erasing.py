"""A person is forgotten: their open calls end, their files go, then all that the store has of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Final

from omni.bus.base import Outgoing
from omni.gateway.rest.calls.ending import end_call
from omni.gateway.rest.errors import ApiError
from omni.gateway.rest.kit import RestKit
from omni.model.access import Lease
from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.entry import BotSaid, Entry, HumanSaid, MediaStored, UserEdited, UserSaid
from omni.model.inbound import ForgetPerson, pack
from omni.model.message import Media, Message
from omni.model.queues import commands_for
from omni.store.rest import CallQuery

log = logging.getLogger("omni.rest")

REMEMBERED_SECONDS: Final = 30 * 86_400.0
"""How long an erasure that is asked for again is known to have been done."""
PAGE: Final = 100
STEP: Final = 500


class Erasing:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    async def was_erased(self, org: str, contact_id: str) -> int | None:
        """How many calls went with somebody who was erased lately; None for anybody else."""
        now = self._kit.clock()
        name = _name(org, contact_id)
        found = [lease for lease in await self._kit.store.leases(name, now=now) if lease.name == name]
        calls = found[0].data.get("calls") if found else None
        return calls if isinstance(calls, int) else None

    async def erase(self, contact: Contact, by: str) -> int:
        """Returns how many calls went. Cut off at any instant, it is finished by asking again. Raises ApiError 503
        while a call cannot be ended."""
        kit = self._kit
        await self._end_calls(contact, by)
        blobs = {blob async for call in calls_of(kit, contact) async for blob in _blobs(kit, call)}
        for blob in sorted(blobs):
            await kit.blobs.delete(blob)
        erased = await kit.store.erase_contact(contact.org, contact.id)
        now = kit.clock()
        done = Lease(
            name=_name(contact.org, contact.id), holder="erased", until=now + REMEMBERED_SECONDS, data={"calls": erased}
        )
        await kit.store.take_lease(done, now=now)
        await self._have_forgotten(contact)
        log.info("the contact %s was erased, with %d calls", contact.id, erased)
        return erased

    async def _end_calls(self, contact: Contact, by: str) -> None:
        where = CallQuery(contact.org, contact=contact.id, status="in_progress")
        for call in (await self._kit.store.call_page(where, limit=PAGE)).calls:
            if (await end_call(self._kit, call, by, "erased")).is_open:
                raise ApiError(
                    503, "unavailable", f"the call {call.id} does not end right now; try again", retry_after=2
                )

    async def _have_forgotten(self, contact: Contact) -> None:
        """Whoever has the person at hand must not bring them back."""
        kit = self._kit
        forget = ForgetPerson(
            key=kit.new_id("cmd"),
            org=contact.org,
            agent="",
            channel="",
            at=kit.clock(),
            contact=contact.id,
            home=contact.home,
        )
        queue = commands_for(contact.home, kit.partitions).name
        await kit.bus.publish([Outgoing(queue, pack((forget,)), forget.key)])


async def calls_of(kit: RestKit, contact: Contact) -> AsyncIterator[Call]:
    """All calls of a person, the newest first."""
    cursor: str | None = None
    while True:
        page = await kit.store.call_page(CallQuery(contact.org, contact=contact.id, cursor=cursor), limit=PAGE)
        for call in page.calls:
            yield call
        if page.next is None:
            return
        cursor = page.next


async def entries_of(kit: RestKit, call: str) -> AsyncIterator[list[Entry]]:
    """A call's log in pieces."""
    after = 0
    while entries := await kit.store.entries(call, after=after, limit=STEP):
        after = entries[-1].seq
        yield entries


async def _blobs(kit: RestKit, call: Call) -> AsyncIterator[str]:
    async for entries in entries_of(kit, call.id):
        for entry in entries:
            for media in media_in(entry):
                if media.blob is not None:
                    yield media.blob


def media_in(entry: Entry) -> list[Media]:
    match fact := entry.fact:
        case MediaStored(media=media):
            return [media]
        case UserSaid(message=message) | UserEdited(message=message) | HumanSaid(message=message):
            return _files(message)
        case BotSaid():
            return _files(fact.message)
        case _:
            return []


def _files(message: Message) -> list[Media]:
    return [part for part in message.parts if isinstance(part, Media)]


def _name(org: str, contact_id: str) -> str:
    return f"erased:{org}/{contact_id}"

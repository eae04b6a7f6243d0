"""Who is writing: the rules that join identities to one person, on the real embedded store."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omni.model.call import Call
from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.entry import Custom, Entry, Handler
from omni.model.inbound import PersonNotice
from omni.sqlite import SqliteFile
from omni.store.base import Append
from omni.store.sqlite import SqliteStore
from sessions.contacts import Contacts, heeded, match

ORG = "default"


def ident(text: str) -> Identity:
    """`u:` a business-scoped user id, `P:` a parent's, `w:` WhatsApp's number, `p:` the canonical number."""
    kinds = {"u": IdentityKind.BSUID, "P": IdentityKind.PARENT_BSUID, "w": IdentityKind.WA_ID, "p": IdentityKind.PHONE}
    return Identity(kind=kinds[text[0]], value=text[2:])


def sender(*ids: str, **more: str) -> Sender:
    return Sender(identities=tuple(map(ident, ids)), routing=f"whatsapp:default:{ids[-1]}", **more)


def names(contact: Contact) -> set[str]:
    short = {IdentityKind.BSUID: "u", IdentityKind.PARENT_BSUID: "P", IdentityKind.WA_ID: "w", IdentityKind.PHONE: "p"}
    return {f"{short[i.kind]}:{i.value}" for i in contact.identities}


class People:
    """`Contacts` over a store, with a second one that stands for another worker."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self._count = itertools.count(1)
        self.here = Contacts(store, self.new_id)
        self.there = Contacts(store, self.new_id)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-{next(self._count):04d}"

    async def write(self, *ids: str, **more: str) -> Contact:
        return await self.here.resolve(ORG, sender(*ids, **more))

    async def became(self, old: str, new: str) -> Contact:
        return await self.here.became(ORG, sender(*old.split()), tuple(map(ident, new.split())))

    async def owner(self, id_: str) -> Contact | None:
        found = await self.store.find_contacts(ORG, [ident(id_)])
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    store = SqliteStore(SqliteFile(tmp_path / "omni.db", sync="normal"))
    await store.open()
    yield People(store)
    await store.close()


# --- joining ----------------------------------------------------------------------------------------------------------


async def test_first_message_makes_a_person(people: People) -> None:
    ana = await people.write("w:1", "p:1", name="Ana")
    assert (ana.name, ana.home, ana.version) == ("Ana", "whatsapp:default:p:1", 1)
    assert await people.write("w:1", "p:1", name="Ana") is ana, "known people cost no question"


async def test_person_learns_names_and_identities(people: People) -> None:
    ana = await people.write("w:1", name="Ana")
    again = await people.write("u:A", "w:1", name="Ana B")
    assert again.id == ana.id
    assert again.name == "Ana B"
    assert again.home == ana.home, "their conversations stay where they are"
    assert names(again) == {"u:A", "w:1"}
    assert (await people.write("u:A", "w:1")).name == "Ana B", "a message without a name takes none away"


async def test_user_id_comes_before_the_number(people: People) -> None:
    ana = await people.write("u:A", "w:1")
    assert (await people.write("u:A", "w:2")).id == ana.id
    assert (await people.write("u:A")).id == ana.id


async def test_parents_user_id_joins(people: People) -> None:
    ana = await people.write("u:A", "P:X")
    assert (await people.write("u:B", "P:X")).id == ana.id


async def test_recycled_number_is_a_new_person_who_takes_it_along(people: People) -> None:
    ana = await people.write("u:A", "w:1", "p:1")
    bob = await people.write("u:B", "w:1", "p:1")
    assert bob.id != ana.id
    assert names(bob) == {"u:B", "w:1", "p:1"}
    left = await people.store.contact(ana.id)
    assert left is not None
    assert names(left) == {"u:A"}
    assert (await people.write("w:1", "p:1")).id == bob.id, "the number alone is the new person's"
    assert (await people.write("u:A")).id == ana.id
    assert (await people.write("u:A", "w:9")).id == ana.id


async def test_recycled_number_in_another_spelling_ends_the_argument(people: People) -> None:
    """The old owner keeps a spelling of the number that the new one uses later."""
    await people.write("u:A", "w:521", "p:52")
    bob = await people.write("u:B", "w:52", "p:52")
    async with asyncio.timeout(5):
        again = await people.write("u:B", "w:521", "p:52")
    assert again.id == bob.id
    assert names(again) == {"u:B", "w:52", "w:521", "p:52"}


async def test_known_person_takes_a_strangers_number_over(people: People) -> None:
    ana = await people.write("u:A", "w:1")
    await people.write("u:B", "w:2")
    again = await people.write("u:A", "w:2")
    assert again.id == ana.id
    assert (await people.owner("w:2")) == again


async def test_two_people_are_not_merged_by_a_sender_without_a_user_id(people: People) -> None:
    ana = await people.write("u:A", "w:1")
    bob = await people.write("u:B", "p:1")
    async with asyncio.timeout(5):
        someone = await people.write("w:1", "p:1")
    assert someone.id in (ana.id, bob.id)
    assert await people.store.contact(ana.id) is not None
    assert await people.store.contact(bob.id) is not None


# --- merging ----------------------------------------------------------------------------------------------------------


async def test_record_with_the_user_id_and_record_with_the_number_are_merged(people: People) -> None:
    by_id, by_number = await people.write("u:A", name="Ana"), await people.write("w:1", "p:1")
    call = Call(
        id="wa-1", agent="desk", channel="whatsapp:1", transport="whatsapp", conversation="c", contact=by_number.id,
        home=by_number.home, started_at=1.0, last_seq=1, is_open=False,
    )  # fmt: skip
    entry = Entry(seq=1, ts=1.0, call="wa-1", agent="desk", fact=Custom(name="x"))
    await people.store.append(Append(call=call, entries=[entry]))
    ana = await people.write("u:A", "w:1", "p:1")
    assert ana.id == by_id.id
    assert names(ana) == {"u:A", "w:1", "p:1"}
    assert await people.store.contact(by_number.id) is None
    moved = await people.store.call("wa-1")
    assert moved is not None
    assert moved.contact == ana.id
    assert (await people.write("w:1", "p:1")).id == ana.id, "what was at hand of the other record is forgotten"


async def test_three_records_of_one_person_are_merged(people: People) -> None:
    await people.write("w:1")
    await people.write("p:1")
    await people.write("u:A")
    async with asyncio.timeout(5):
        ana = await people.write("u:A", "w:1", "p:1")
    assert names(ana) == {"u:A", "w:1", "p:1"}
    assert (await people.store.size())["contacts"] == 1


async def test_pause_and_opt_out_survive_a_merge(people: People) -> None:
    by_number = await people.write("w:1")
    await people.write("u:A")
    await people.here.change(by_number.id, is_paused=True, opted_out=("marketing",), attributes={"tier": "gold"})
    ana = await people.write("u:A", "w:1")
    assert ana.is_paused
    assert ana.opted_out == ("marketing",)
    assert ana.attributes == {"tier": "gold"}


@pytest.mark.parametrize("handler", ["bot", "human"])
async def test_record_with_the_conversation_under_way_is_kept(people: People, handler: Handler) -> None:
    """Its conversation goes on, and stays with whoever has it."""
    await people.write("u:A")
    talking = await people.write("w:1", "p:1")
    call = Call(
        id="wa-1", agent="desk", channel="whatsapp:1", transport="whatsapp", conversation="c", contact=talking.id,
        home=talking.home, started_at=1.0, last_seq=1, handler=handler,
    )  # fmt: skip
    entry = Entry(seq=1, ts=1.0, call="wa-1", agent="desk", fact=Custom(name="x"))
    await people.store.append(Append(call=call, entries=[entry]))
    ana = await people.write("u:A", "w:1", "p:1")
    assert ana.id == talking.id
    assert names(ana) == {"u:A", "w:1", "p:1"}
    assert (await people.store.size())["contacts"] == 1


async def test_two_workers_that_meet_a_person_at_once_make_one_record(people: People) -> None:
    found = await asyncio.gather(
        *(contacts.resolve(ORG, sender("w:1", "p:1")) for contacts in (people.here, people.there) for _ in range(5))
    )
    assert len({contact.id for contact in found}) == 1
    assert (await people.store.size())["contacts"] == 1


async def test_changes_of_two_workers_at_once_are_both_kept(people: People) -> None:
    ana = await people.write("w:1")
    await asyncio.gather(
        people.here.change(ana.id, is_paused=True), people.there.resolve(ORG, sender("u:A", "w:1", name="Ana"))
    )
    saved = await people.store.contact(ana.id)
    assert saved is not None
    assert (saved.is_paused, saved.name) == (True, "Ana")


async def test_change_of_somebody_unknown_is_nothing(people: People) -> None:
    assert await people.here.change("ct-x", is_paused=True) is None


async def test_person_whom_another_worker_paused_does_not_stay_unpaused_here(people: People) -> None:
    """A partition went to another worker and came back: what is at hand here is from before."""
    here = Contacts(people.store, people.new_id, fresh=0.01)
    ana = await here.resolve(ORG, sender("w:1"))
    await people.there.change(ana.id, is_paused=True)
    await asyncio.sleep(0.02)
    assert here.at_hand(ORG, sender("w:1")) is None
    assert (await here.resolve(ORG, sender("w:1"))).is_paused


async def test_people_at_hand_are_bounded(people: People) -> None:
    contacts = Contacts(people.store, people.new_id, cache_size=10)
    for number in range(50):
        await contacts.resolve(ORG, sender(f"w:{number}"))
    assert len(contacts._recent) == len(contacts._keys) == 10


# --- the channel says that somebody is now somebody else --------------------------------------------------------------


async def test_number_change_keeps_the_person(people: People) -> None:
    ana = await people.write("w:1", "p:1")
    moved = await people.became("w:1 p:1", "w:2 p:2")
    assert moved.id == ana.id
    assert moved.first(IdentityKind.WA_ID) == ident("w:2"), "they are written to under the new number"
    assert (await people.write("w:2", "p:2")).id == ana.id
    assert (await people.write("w:1", "p:1")).id == ana.id, "a message that was under way"


async def test_message_from_the_new_number_before_the_notice_is_merged(people: People) -> None:
    ana = await people.write("w:1")
    early = await people.write("w:2")
    moved = await people.became("w:1", "w:2")
    assert moved.id == ana.id
    assert await people.store.contact(early.id) is None


async def test_number_change_does_not_merge_a_stranger_who_had_the_number(people: People) -> None:
    ana = await people.write("u:A", "w:1")
    bob = await people.write("u:B", "w:2")
    moved = await people.became("u:A w:1", "w:2")
    assert moved.id == ana.id
    assert names(moved) == {"u:A", "w:1", "w:2"}
    left = await people.store.contact(bob.id)
    assert left is not None
    assert names(left) == {"u:B"}


async def test_moving_there_and_back_ends_at_the_old_number(people: People) -> None:
    ana = await people.write("w:1")
    await people.became("w:1", "w:2")
    back = await people.became("w:2", "w:1")
    assert back.id == ana.id
    assert back.first(IdentityKind.WA_ID) == ident("w:1")
    assert names(back) == {"w:1", "w:2"}


async def test_change_to_oneself_changes_nothing(people: People) -> None:
    ana = await people.write("w:1")
    assert await people.became("w:1", "w:1") == ana


async def test_change_of_somebody_never_seen_makes_them(people: People) -> None:
    new = await people.became("u:A", "u:B")
    assert names(new) == {"u:A", "u:B"}
    assert (await people.write("u:B")).id == new.id


async def test_change_that_joins_three_records_ends(people: People) -> None:
    await people.write("w:1")
    await people.write("w:2")
    await people.write("p:2")
    async with asyncio.timeout(5):
        moved = await people.became("w:1", "w:2 p:2")
    assert names(moved) == {"w:1", "w:2", "p:2"}
    assert (await people.store.size())["contacts"] == 1


# --- the rules alone --------------------------------------------------------------------------------------------------


def test_match_says_what_must_be_written() -> None:
    ana = Contact(id="a", home="h", identities=(ident("u:A"), ident("w:1")), version=3)
    assert not match([ana], sender("u:A", "w:1"), ORG, str).is_changed
    found = match([ana], sender("u:B", "w:1"), ORG, lambda prefix: "new")
    assert found.contact.id == "new"
    assert [contact.identities for contact in found.robbed] == [(ident("u:A"),)]


def notice(name: str, at: float, **value: str) -> PersonNotice:
    return PersonNotice(
        key="k", agent="desk", channel="whatsapp:1", at=at, sender=sender("w:1"), name=name, value=dict(value),
        sent_at=at,
    )  # fmt: skip


def test_older_preference_does_not_undo_a_newer_one() -> None:
    ana = Contact(id="a", home="h", identities=(ident("w:1"),))
    out = ana.model_copy(update=heeded(ana, notice("preference", 20, category="marketing", value="stop")))
    assert out.opted_out == ("marketing",)
    assert not heeded(out, notice("preference", 10, category="marketing", value="resume"))
    back = out.model_copy(update=heeded(out, notice("preference", 30, category="marketing", value="resume")))
    assert back.opted_out == ()
    assert not heeded(ana, notice("welcome", 10))

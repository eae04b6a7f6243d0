"""Collections are read one after the other while a server writes; what is loaded is whole all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from omni.model.entry import UserSaid
from omni.model.message import Message
from omni.mongodb import MongoServer
from omni.store.mongodb import MongoStore, dumping
from omni.store.mongodb.collections import CALLS, CONTACTS
from omni.store.mongodb.schema import VERSION, make_indexes
from tests.contract.conftest import Make


def heard(id_: str, text: str) -> UserSaid:
    return UserSaid(id=id_, text=text, provider_id=f"wamid.{id_}", at=1.0, message=Message.of(text))


@pytest.fixture
def other_url(mongo_url: str) -> Iterator[str]:
    url, _, options = mongo_url.partition("?")
    yield f"{url}_other?{options}"
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
        client.drop_database(f"{url.rpartition('/')[2]}_other")


async def dumped(url: str, *collections: str) -> dict[str, list[bytes]]:
    server = MongoServer(url)
    await server.open()
    try:
        return {
            name: [one async for batch in dumping.dump(server.database, name) for one in dumping.split(batch)[0]]
            for name in collections
        }
    finally:
        await server.close()


async def load(url: str, documents: dict[str, list[bytes]]) -> None:
    server = MongoServer(url)
    await server.open()
    try:
        await make_indexes(server.database, VERSION)
        for collection in dumping.COLLECTIONS:
            for batch in dumping.batches(iter(documents.get(collection, []))):
                await dumping.load(server.database, collection, batch)
        await dumping.finish(server.database, VERSION)
    finally:
        await server.close()


async def test_a_conversation_ends_where_its_record_ended_when_that_was_read(mongo_url: str, other_url: str) -> None:
    make = Make()
    old = MongoStore(mongo_url)
    await old.open()
    step = make.step(make.call("wa-1", party="p"), heard("m1", "early words"), keys=["in:1"])
    await old.append(step)
    first = await dumped(mongo_url, CALLS)
    for number in range(2, 13):  # names of its batches are not in the order of their numbers
        step = make.step(step.call, heard(f"m{number}", "late words"), keys=[f"in:{number}"])
        await old.append(step)
    await old.append(make.reply(step.call, "dl_late"))
    await make.open(old, "wa-2", party="another")
    assert len(await old.search_messages("default", "words")) == 12
    rest = await dumped(mongo_url, *dumping.COLLECTIONS[1:])
    await old.close()

    await load(other_url, first | rest)
    new = MongoStore(other_url)
    await new.open()
    loaded = await new.load_call("wa-1")
    assert loaded is not None
    assert (loaded.call.last_seq, [entry.seq for entry in loaded.entries], list(loaded.unsent)) == (1, [1], [])
    assert await new.load_call("wa-2") is None
    assert await new.delivery("dl_late") is None
    assert [hit.seq for hit in await new.search_messages("default", "words")] == [1]
    assert [one.entry.call for one in await new.milestones("default", "echo")] == []
    assert await new.acted_on(["in:1", "in:2"]) == {"in:1"}
    await new.append(make.step(loaded.call, heard("m2", "again"), keys=["in:2"]))
    assert [entry.seq for entry in await new.entries("wa-1")] == [1, 2]
    await new.close()


async def test_an_identity_that_moved_while_people_were_read_belongs_to_who_was_read_last(
    mongo_url: str, other_url: str
) -> None:
    make = Make()
    old = MongoStore(mongo_url)
    await old.open()
    gone = await old.save_contact(make.contact("ct_1", "491701"))
    before = await dumped(mongo_url, CONTACTS)
    await old.save_contact(gone.model_copy(update={"identities": ()}))
    await old.save_contact(make.contact("ct_2", "491701"))
    after = await dumped(mongo_url, CONTACTS)
    await old.close()
    both = [*before[CONTACTS], *(one for one in after[CONTACTS] if b"ct_2" in one)]

    await load(other_url, {CONTACTS: both})
    new = MongoStore(other_url)
    await new.open()
    found = await new.find_contacts("default", make.contact("x", "491701").identities)
    assert [contact.id for contact in found] == ["ct_2"]
    await new.close()

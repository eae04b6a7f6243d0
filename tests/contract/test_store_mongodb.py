"""What only the MongoDB engine can leave behind, and how whoever comes next finds it whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest

from omni.model.contact import Identity, IdentityKind
from omni.model.entry import Custom
from omni.mongodb import MongoServer
from omni.store.base import StoreError
from omni.store.mongodb import MongoStore


@pytest.fixture
async def mongo(mongo_url: str) -> AsyncIterator[MongoStore]:
    store = MongoStore(mongo_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def documents(mongo_url: str) -> Any:
    """The database as another program sees it, to take away what a dead worker never wrote."""
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
        yield client.get_default_database()


async def test_a_call_whose_document_was_never_written_is_found_in_its_log(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    step = make.reply(make.call("wa-1", party="p", name="Ada"), "dl_1", keys=["in:1"])
    await mongo.append(step)
    documents.calls.delete_many({})
    documents.deliveries.delete_many({})

    for loaded in (await mongo.open_call(step.call.conversation), await mongo.load_call("wa-1")):
        assert loaded is not None
        assert loaded.call == step.call.model_copy(update={"last_seq": 0})
        assert list(loaded.entries) == list(step.entries)
        assert list(loaded.unsent) == []
    with pytest.raises(StoreError):
        await mongo.append(make.step(make.call("wa-2", party="p")))
    assert (await mongo.last_call(step.call.conversation)) is not None

    await make.repair(mongo, loaded)
    healed = await mongo.open_call(step.call.conversation)
    assert healed is not None
    assert healed.call.last_seq == 1
    assert [delivery.id for delivery in healed.unsent] == ["dl_1"]
    ended = make.step(healed.call.model_copy(update={"is_open": False}))
    await mongo.append(ended)
    await make.open(mongo, "wa-3", party="p")


async def test_a_call_that_was_over_at_once_makes_room_though_its_document_is_missing(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    step = make.step(make.call("wa-1", party="p", is_open=False))
    await mongo.append(step)
    documents.calls.delete_many({})
    with pytest.raises(StoreError):
        await make.open(mongo, "wa-2", party="p")
    loaded = await mongo.open_call(step.call.conversation)
    assert loaded is not None
    assert [entry.seq for entry in loaded.entries] == [1]
    await mongo.save_call(step.call)
    await make.open(mongo, "wa-2", party="p")


async def test_a_document_behind_its_log_is_loaded_with_what_it_missed(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    call = await make.open(mongo, "wa-1", party="p")
    old = documents.calls.find_one({"_id": "wa-1"})
    step = make.reply(call, "dl_1")
    await mongo.append(step)
    documents.calls.replace_one({"_id": "wa-1"}, old)
    documents.deliveries.delete_many({})

    loaded = await mongo.load_call("wa-1")
    assert loaded is not None
    assert loaded.call == call
    assert [entry.seq for entry in loaded.entries] == [1, 2]
    await make.repair(mongo, loaded)
    healed = await mongo.load_call("wa-1")
    assert healed is not None
    assert healed.call.last_seq == 2
    assert [delivery.id for delivery in healed.unsent] == ["dl_1"]


async def test_a_call_that_ended_unnoticed_makes_room_once_it_is_repaired(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    call = await make.open(mongo, "wa-1", party="p")
    old = documents.calls.find_one({"_id": "wa-1"})
    ended = make.step(call.model_copy(update={"is_open": False}))
    await mongo.append(ended)
    documents.calls.replace_one({"_id": "wa-1"}, old)
    with pytest.raises(StoreError):
        await make.open(mongo, "wa-2", party="p")
    await mongo.save_call(ended.call)
    await make.open(mongo, "wa-2", party="p")


async def test_a_merge_whose_worker_died_is_finished_by_the_next_reader(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    keep = await mongo.save_contact(make.contact("ct_keep", "491"))
    gone = await mongo.save_contact(make.contact("ct_gone", "492"))
    before = documents.contacts.find_one({"_id": "ct_gone"})
    await make.open(mongo, "wa-1", contact="ct_gone")
    merged = await mongo.merge_contacts(
        keep.model_copy(update={"identities": (*keep.identities, *gone.identities)}), "ct_gone"
    )
    documents.contacts.update_one(
        {"_id": "ct_keep"},
        {
            "$set": {
                "keys": ["default/wa_id:491"],
                "absorbs": {"contact": "ct_gone", "keys": ["default/wa_id:491", "default/wa_id:492"]},
            }
        },
    )
    documents.contacts.insert_one(before)
    documents.calls.update_many({}, {"$set": {"contact": "ct_gone"}})

    found = await mongo.find_contacts("default", [Identity(kind=IdentityKind.WA_ID, value="492")])
    assert found == [merged]
    assert await mongo.contact("ct_gone") is None
    call = await mongo.call("wa-1")
    assert call is not None
    assert call.contact == "ct_keep"
    assert (await mongo.save_contact(merged)).version > merged.version


async def test_a_merge_does_not_take_back_an_identity_that_was_taken_meanwhile(
    mongo: MongoStore, documents: Any, make: Any
) -> None:
    keep = await mongo.save_contact(make.contact("ct_keep", "491"))
    taker = await mongo.save_contact(make.contact("ct_taker", "492"))
    absorbs = {"contact": "ct_gone", "keys": ["default/wa_id:491", "default/wa_id:492", "default/wa_id:493"]}
    documents.contacts.update_one({"_id": "ct_keep"}, {"$set": {"absorbs": absorbs}})

    assert await mongo.contact("ct_keep") == keep
    assert await mongo.find_contacts("default", [Identity(kind=IdentityKind.WA_ID, value="492")]) == [taker]
    assert await mongo.find_contacts("default", [Identity(kind=IdentityKind.WA_ID, value="493")]) == [keep]


async def test_a_call_without_a_log_cannot_be_saved(mongo: MongoStore, make: Any) -> None:
    with pytest.raises(StoreError, match="no log"):
        await mongo.save_call(make.call("wa-0", last_seq=3))
    assert await mongo.call("wa-0") is None


async def test_an_append_too_large_for_one_document_says_so(mongo: MongoStore, make: Any) -> None:
    call = await make.open(mongo, "wa-1")
    with pytest.raises(StoreError, match="16 MB"):
        await mongo.append(make.step(call, *(Custom(name="n", value="x" * (1 << 20)) for _ in range(17))))
    assert [entry.seq for entry in await mongo.entries("wa-1")] == [1]
    await mongo.append(make.step(call))


async def test_a_database_of_a_newer_release_is_left_alone(mongo: MongoStore, documents: Any, mongo_url: str) -> None:
    documents.schema.update_one({}, {"$set": {"version": 99}})
    with pytest.raises(StoreError, match="newer omni"):
        await MongoStore(mongo_url).open()


# PyMongo's monitor leaves its socket to the garbage collector when it is cancelled while it connects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("place", ["ada:s3/cret@127.0.0.1:1", "ada:s3@cret@127.0.0.1:1", "ada:s3cret@127.0.0.1:port"])
async def test_no_error_tells_the_password(place: str) -> None:
    with pytest.raises(StoreError, match="percent-encoded") as refused:
        await MongoStore(f"mongodb://{place}/omni").open()
    assert "s3" not in str(refused.value)
    assert "cret" not in str(refused.value)


def test_the_address_is_the_hosts_alone() -> None:
    assert MongoServer("mongodb://ada:s3cret@one:27017,two:27018/omni?w=1").address == "one:27017,two:27018"
    assert MongoServer("mongodb://one/omni").address == "one"
    assert MongoServer("mongodb+srv://ada:s3cret@cluster.example").address == "cluster.example"

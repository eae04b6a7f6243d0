"""Contacts: an identity belongs to one person, records do not overwrite each other, and two records can become one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.contact import Identity, IdentityKind
from omni.store.base import CallFilter, Store, VersionConflictError


def wa(value: str) -> Identity:
    return Identity(kind=IdentityKind.WA_ID, value=value)


async def test_a_contact_is_found_by_any_of_its_identities(store: Store, make: Any) -> None:
    given = make.contact("ct_1", "491", "492", name="Ada", attributes={"a.b": "$x", "": "e"}, opted_out=("marketing",))
    saved = await store.save_contact(given)
    assert saved == given.model_copy(update={"version": saved.version})
    assert saved.version > 0
    assert await store.contact("ct_1") == saved
    assert await store.find_contacts("default", [wa("492")]) == [saved]
    assert await store.find_contacts("default", [wa("000"), wa("491"), wa("492")]) == [saved]
    assert await store.find_contacts("default", [wa("493")]) == []
    assert await store.find_contacts("default", [Identity(kind=IdentityKind.PHONE, value="491")]) == []
    assert await store.find_contacts("default", []) == []
    assert await store.contact("ct_0") is None


async def test_two_records_of_one_person_are_both_found(store: Store, make: Any) -> None:
    await store.save_contact(make.contact("ct_1", "491"))
    await store.save_contact(make.contact("ct_2", "492"))
    found = await store.find_contacts("default", [wa("491"), wa("492")])
    assert sorted(contact.id for contact in found) == ["ct_1", "ct_2"]


async def test_organisations_do_not_share_people(store: Store, make: Any) -> None:
    ours = await store.save_contact(make.contact("ct_1", "491"))
    theirs = await store.save_contact(make.contact("ct_2", "491", org="elsewhere"))
    assert await store.find_contacts("default", [wa("491")]) == [ours]
    assert await store.find_contacts("elsewhere", [wa("491")]) == [theirs]


async def test_an_identity_belongs_to_one_contact(store: Store, make: Any) -> None:
    first = await store.save_contact(make.contact("ct_1", "491"))
    with pytest.raises(VersionConflictError):
        await store.save_contact(make.contact("ct_2", "490", "491"))
    assert await store.contact("ct_2") is None
    second = await store.save_contact(make.contact("ct_2", "490"))
    with pytest.raises(VersionConflictError):
        await store.save_contact(second.model_copy(update={"identities": (wa("490"), wa("491"))}))
    assert await store.contact("ct_2") == second
    assert await store.find_contacts("default", [wa("490"), wa("491")]) == [first, second]


async def test_of_workers_that_meet_a_person_at_once_one_makes_the_record(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    for lap in range(5):
        outcomes = await make.outcomes(
            [two_stores[n % 2].save_contact(make.contact(f"ct_{lap}_{n}", f"49{lap}")) for n in range(4)]
        )
        assert sorted(outcomes) == ["VersionConflictError"] * 3 + ["ok"]
        (contact,) = await two_stores[0].find_contacts("default", [wa(f"49{lap}")])
        assert contact.id == f"ct_{lap}_{outcomes.index('ok')}"


async def test_a_contact_that_changed_is_not_overwritten(two_stores: tuple[Store, Store], make: Any) -> None:
    one, other = two_stores
    read = await one.save_contact(make.contact("ct_1", "491"))
    renamed = await other.save_contact(read.model_copy(update={"name": "Ada"}))
    with pytest.raises(VersionConflictError):
        await one.save_contact(read.model_copy(update={"name": "Bob"}))
    with pytest.raises(VersionConflictError):
        await one.save_contact(make.contact("ct_1", "491"))
    with pytest.raises(VersionConflictError):
        await one.save_contact(make.contact("ct_9", "499").model_copy(update={"version": 3}))
    assert await one.contact("ct_1") == renamed
    outcomes = await make.outcomes([store.save_contact(renamed) for store in (one, other, one)])
    assert sorted(outcomes) == ["VersionConflictError"] * 2 + ["ok"]


async def test_an_identity_that_was_given_up_can_be_taken(store: Store, make: Any) -> None:
    first = await store.save_contact(make.contact("ct_1", "491", "492"))
    first = await store.save_contact(first.model_copy(update={"identities": (wa("491"),)}))
    second = await store.save_contact(make.contact("ct_2", "492"))
    assert await store.find_contacts("default", [wa("492")]) == [second]
    assert await store.find_contacts("default", [wa("491")]) == [first]


async def test_people_without_identities_do_not_meet(store: Store, make: Any) -> None:
    await store.save_contact(make.contact("ct_1"))
    await store.save_contact(make.contact("ct_2"))


async def test_a_merge_gives_everything_to_the_one_who_stays(store: Store, make: Any) -> None:
    keep = await store.save_contact(make.contact("ct_keep", "491", name="Ada"))
    gone = await store.save_contact(make.contact("ct_gone", "492", "493"))
    await make.queue(store, make.delivery("dl_1", "wa-1", 1, contact="ct_gone"), contact="ct_gone", started_at=2.0)
    await make.queue(store, make.delivery("dl_2", "wa-2", 1, contact="ct_keep"), contact="ct_keep", started_at=1.0)
    await make.queue(store, make.delivery("dl_3", "wa-3", 1, contact="ct_other"), contact="ct_other")

    merged = await store.merge_contacts(
        keep.model_copy(update={"identities": (*keep.identities, *gone.identities)}), "ct_gone"
    )
    assert merged.version > keep.version
    assert await store.contact("ct_keep") == merged
    assert await store.contact("ct_gone") is None
    for phone in ("491", "492", "493"):
        assert await store.find_contacts("default", [wa(phone)]) == [merged]
    calls = await store.calls(CallFilter(org="default", contact="ct_keep"))
    assert [call.id for call in calls] == ["wa-1", "wa-2"]
    assert await store.calls(CallFilter(org="default", contact="ct_gone")) == []
    delivery = await store.delivery("dl_1")
    assert delivery is not None
    assert delivery.contact == "ct_keep"
    assert await store.cancel_deliveries(contact="ct_keep", now=1.0) == 2
    again = await store.save_contact(merged.model_copy(update={"name": "Ada L."}))
    assert await store.find_contacts("default", [wa("493")]) == [again]


async def test_a_merge_on_an_old_reading_changes_nothing(store: Store, make: Any) -> None:
    keep = await store.save_contact(make.contact("ct_keep", "491"))
    gone = await store.save_contact(make.contact("ct_gone", "492"))
    newer = await store.save_contact(keep.model_copy(update={"name": "Ada"}))
    with pytest.raises(VersionConflictError):
        await store.merge_contacts(keep.model_copy(update={"identities": (wa("491"), wa("492"))}), "ct_gone")
    assert await store.contact("ct_keep") == newer
    assert await store.find_contacts("default", [wa("492")]) == [gone]


async def test_a_merge_does_not_take_a_third_persons_identity(store: Store, make: Any) -> None:
    keep = await store.save_contact(make.contact("ct_keep", "491"))
    gone = await store.save_contact(make.contact("ct_gone", "492"))
    third = await store.save_contact(make.contact("ct_third", "493"))
    with pytest.raises(VersionConflictError):
        await store.merge_contacts(keep.model_copy(update={"identities": (wa("491"), wa("492"), wa("493"))}), "ct_gone")
    assert await store.find_contacts("default", [wa("491"), wa("492"), wa("493")]) == [gone, keep, third]


async def test_a_merge_that_is_cut_off_happened_or_did_not(engine: Any, make: Any) -> None:
    dying, store = await engine.store(), await engine.store()
    for after in range(0, 48, 4):
        a, b = f"a{after}", f"b{after}"
        keep = await store.save_contact(make.contact(f"ct_{a}", a))
        await store.save_contact(make.contact(f"ct_{b}", b))
        await make.open(store, f"wa-{after}", contact=f"ct_{b}")
        both = keep.model_copy(update={"identities": (wa(a), wa(b))})
        await dying.ping()
        await make.cut_off(dying.merge_contacts(both, f"ct_{b}"), after)
        try:
            merged = await store.merge_contacts(both, f"ct_{b}")  # the operator tries again
        except VersionConflictError:
            (merged,) = await store.find_contacts("default", [wa(a), wa(b)])
        assert merged.identities == both.identities
        assert await store.find_contacts("default", [wa(b)]) == [merged]
        assert await store.contact(f"ct_{b}") is None
        call = await store.call(f"wa-{after}")
        assert call is not None
        assert call.contact == f"ct_{a}"


async def test_many_people_at_once(two_stores: tuple[Store, Store], make: Any) -> None:
    await asyncio.gather(*(two_stores[n % 2].save_contact(make.contact(f"ct_{n}", f"49{n}")) for n in range(20)))
    for n in range(20):
        (found,) = await two_stores[0].find_contacts("default", [wa(f"49{n}")])
        assert found.id == f"ct_{n}"

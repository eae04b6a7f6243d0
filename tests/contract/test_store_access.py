"""Leases, which one holder has at a time however many want them, and API keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.access import ApiKey, Lease
from omni.store.base import Store, StoreError

NOW = 1_000.0


def lease(name: str = "program:default/echo", holder: str = "a", until: float = NOW + 15, **data: Any) -> Lease:
    return Lease(name=name, holder=holder, until=until, data=data)


def key(id_: str, *, org: str = "default", hash_: str | None = None, **more: Any) -> ApiKey:
    fields = {"name": f"the key {id_}", "preview": "pk_…abcd", "created_at": NOW, **more}
    return ApiKey(id=id_, org=org, hash=hash_ or f"hash of {id_}", **fields)


async def names(store: Store, prefix: str, now: float = NOW) -> list[str]:
    return [each.name for each in await store.leases(prefix, now=now)]


async def test_a_free_name_is_taken_and_refused_to_others(store: Store) -> None:
    mine = lease(desk="desk_1", callers=["49170"], since=1.5, none=None)
    assert await store.take_lease(mine, now=NOW) == mine
    assert await store.take_lease(lease(holder="b", until=NOW + 99), now=NOW + 1) == mine
    assert await store.leases("program:", now=NOW + 1) == [mine]


async def test_its_holder_renews_a_lease_and_says_new_things_with_it(store: Store) -> None:
    await store.take_lease(lease(callers=[]), now=NOW)
    renewed = lease(until=NOW + 30, callers=["49170"])
    assert await store.take_lease(renewed, now=NOW + 10) == renewed
    assert await store.leases("program:", now=NOW + 20) == [renewed]


async def test_a_lease_that_has_run_out_is_free(store: Store) -> None:
    await store.take_lease(lease(until=NOW + 15), now=NOW)
    assert (await store.take_lease(lease(holder="b"), now=NOW + 14.9)).holder == "a"
    assert await names(store, "program:", NOW + 14.9) == ["program:default/echo"]
    assert await names(store, "program:", NOW + 15) == []
    theirs = lease(holder="b", until=NOW + 30)
    assert await store.take_lease(theirs, now=NOW + 15) == theirs


async def test_a_lease_is_taken_over_only_from_the_holder_that_is_named(store: Store) -> None:
    await store.take_lease(lease(holder="dead"), now=NOW)
    assert (await store.take_lease(lease(holder="b"), now=NOW, over="somebody")).holder == "dead"
    theirs = lease(holder="b", x=1)
    assert await store.take_lease(theirs, now=NOW, over="dead") == theirs
    assert (await store.take_lease(lease(holder="c"), now=NOW, over="dead")).holder == "b"


async def test_only_its_holder_gives_a_name_back(store: Store) -> None:
    await store.take_lease(lease(), now=NOW)
    assert not await store.drop_lease("program:default/echo", "b")
    assert await names(store, "program:") == ["program:default/echo"]
    assert await store.drop_lease("program:default/echo", "a")
    assert not await store.drop_lease("program:default/echo", "a")
    assert await names(store, "program:") == []
    assert (await store.take_lease(lease(holder="b"), now=NOW)).holder == "b"


async def test_two_takers_at_once_get_one_winner(two_stores: tuple[Store, Store]) -> None:
    for n in range(8):
        wanted = [lease(f"used:{n}", holder=f"h{taker}") for taker in range(6)]
        got = await asyncio.gather(
            *(two_stores[taker % 2].take_lease(each, now=NOW) for taker, each in enumerate(wanted))
        )
        [winner] = {each.holder for each in got}
        assert got == [lease(f"used:{n}", holder=winner)] * 6


async def test_a_lease_that_has_run_out_has_one_winner_too(two_stores: tuple[Store, Store]) -> None:
    for n in range(8):
        await two_stores[0].take_lease(lease(f"program:{n}", until=NOW), now=NOW - 1)
        await asyncio.gather(*(two_stores[b].leases("program:", now=NOW) for b in (0, 1)))
        got = await asyncio.gather(
            *(two_stores[b % 2].take_lease(lease(f"program:{n}", holder=f"h{b}"), now=NOW) for b in range(6))
        )
        assert len({each.holder for each in got}) == 1


async def test_a_takeover_beside_a_renewal_leaves_one_holder(two_stores: tuple[Store, Store]) -> None:
    for n in range(8):
        name = f"program:{n}"
        await two_stores[0].take_lease(lease(name), now=NOW)
        renewed, taken = await asyncio.gather(
            two_stores[0].take_lease(lease(name, until=NOW + 30), now=NOW),
            two_stores[1].take_lease(lease(name, holder="b"), now=NOW, over="a"),
        )
        assert taken.holder == "b"
        assert renewed.holder in {"a", "b"}
        assert [each.holder for each in await two_stores[0].leases(name, now=NOW)] == ["b"]


@pytest.mark.parametrize(
    "prefix",
    ["program:default/", "a.b*c", "50%_", "[x]^$\\", "line\nbreak ", "über/日本/", "top\U0010ffff", "", "half \ud83d/"],
)
async def test_a_prefix_lists_what_begins_so_by_name_and_nothing_else(store: Store, prefix: str) -> None:
    begins = [f"{prefix}{rest}" for rest in ("b", "a", "a\U0010ffffz", "é")]
    others = [] if not prefix else ["p", "zzz", f"x{prefix}a", prefix[:-1], "axbxc", "50xx", "[x]", "line", "über/日"]
    for name in [*begins, *others]:
        await store.take_lease(lease(name), now=NOW)
    found = await names(store, prefix)
    assert found == sorted(found)
    assert len(found) == len(begins)
    assert {each[-1] for each in found} == {"b", "a", "z", "é"}


async def test_leases_that_have_run_out_do_not_pile_up(store: Store) -> None:
    for n in range(50):
        await store.take_lease(lease(f"used:{n}", until=NOW + n), now=NOW)
    for n in range(25):
        await store.take_lease(lease(f"later:{n}", until=NOW + 9_000), now=NOW + 1_000)
    assert (await store.size())["leases"] == 25


async def test_a_key_is_found_by_its_hash(store: Store) -> None:
    assert await store.key_by_hash("hash of k1") is None
    await store.save_key(key("k1"))
    await store.save_key(key("k2", org="elsewhere", last_used_at=NOW + 1))
    assert await store.key_by_hash("hash of k1") == key("k1")
    assert await store.key_by_hash("hash of k2") == key("k2", org="elsewhere", last_used_at=NOW + 1)
    assert await store.key_by_hash("hash of") is None
    assert await store.key_by_hash("half \ud83d") is None


async def test_keys_are_listed_by_age_with_those_revoked(store: Store) -> None:
    await store.save_key(key("k3", created_at=NOW + 3))
    await store.save_key(key("k1", created_at=NOW + 1, revoked_at=NOW + 2))
    await store.save_key(key("k2", created_at=NOW + 2, org="elsewhere"))
    assert [each.id for each in await store.keys()] == ["k1", "k2", "k3"]
    assert [each.id for each in await store.keys("default")] == ["k1", "k3"]
    assert await store.keys("nobody") == []
    assert (await store.keys())[0].revoked_at == NOW + 2


async def test_a_key_is_saved_over_by_its_id(store: Store) -> None:
    await store.save_key(key("k1"))
    revoked = key("k1", revoked_at=NOW + 5, name="renamed")
    await store.save_key(revoked)
    assert await store.keys() == [revoked]
    assert await store.key_by_hash("hash of k1") == revoked


async def test_using_a_key_notes_when_and_does_not_undo_a_revocation(store: Store) -> None:
    await store.save_key(key("k1"))
    await store.save_key(key("k2"))
    await store.touch_key("k1", NOW + 50)
    assert await store.keys() == [key("k1", last_used_at=NOW + 50), key("k2")]
    await store.save_key(key("k1", last_used_at=NOW + 50, revoked_at=NOW + 60))
    await store.touch_key("k1", NOW + 40)
    await store.touch_key("k1", NOW + 70)
    await store.touch_key("nobody", NOW)
    assert await store.keys() == [key("k1", last_used_at=NOW + 70, revoked_at=NOW + 60), key("k2")]
    await store.touch_key("k1", NOW + 65)
    assert (await store.keys())[0].last_used_at == NOW + 70


async def test_two_keys_do_not_share_a_hash(store: Store) -> None:
    await store.save_key(key("k1", hash_="same"))
    with pytest.raises(StoreError, match="k2"):
        await store.save_key(key("k2", hash_="same"))
    assert await store.keys() == [key("k1", hash_="same")]


async def test_leases_and_keys_are_there_after_opening_again(engine: Any) -> None:
    first = await engine.store()
    await first.take_lease(lease(x=1), now=NOW)
    await first.save_key(key("k1"))
    second = await engine.store()
    assert await second.leases("program:", now=NOW) == [lease(x=1)]
    assert await second.keys() == [key("k1")]

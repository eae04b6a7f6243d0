"""API keys: found by their hash, stopped within seconds of being revoked, and never written down."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from omni.access.keys import CACHE_SECONDS, TOUCH_SECONDS, Keys, hash_of, new_secret
from omni.store.base import Store


async def test_a_key_that_was_made_is_found_for_its_organisation(store: Store, clock: Any) -> None:
    keys = Keys(store, clock=clock)
    key, secret = await keys.create("acme", "the shop's server")
    other, other_secret = await keys.create("other", "x")
    assert secret.startswith("pk_")
    assert len(secret) >= 3 + 22  # 128 bits in base64
    assert key.preview == f"pk_…{secret[-4:]}"
    found = await keys.find(secret)
    assert found is not None
    assert (found.id, found.org, found.name) == (key.id, "acme", "the shop's server")
    assert (await keys.find(other_secret)) == other
    assert [each.id for each in await keys.of("acme")] == [key.id]


@pytest.mark.parametrize("wrong", [None, "", "pk_", "pk_nobody", "x" * 100_000, "pk_\ud83d", "pk_\0"])
async def test_what_is_no_key_finds_nothing(store: Store, wrong: str | None) -> None:
    keys = Keys(store, own="pk_the_servers_own_key")
    await keys.create("acme", "x")
    assert await keys.find(wrong) is None


async def test_a_key_with_one_letter_changed_is_no_key(store: Store) -> None:
    keys = Keys(store)
    _, secret = await keys.create("acme", "x")
    for place in range(len(secret)):
        changed = secret[:place] + ("A" if secret[place] != "A" else "B") + secret[place + 1 :]
        assert await keys.find(changed) is None
    assert await keys.find(secret + "A") is None
    assert await keys.find(secret[:-1]) is None


async def test_the_settings_key_belongs_to_the_default_organisation_and_is_stored_nowhere(store: Store) -> None:
    keys = Keys(store, own="pk_the_servers_own_key")
    found = await keys.find("pk_the_servers_own_key")
    assert found is not None
    assert (found.org, found.name) == ("default", "OMNI_API_KEY")
    assert await keys.is_valid(found)
    assert await store.keys() == []
    assert await Keys(store).find("pk_the_servers_own_key") is None


async def test_a_revoked_key_stops_at_once_here_and_within_seconds_elsewhere(
    open_store: Callable[[], Awaitable[Store]], clock: Any
) -> None:
    ours, theirs = [Keys(await open_store(), clock=clock, ticks=clock) for _ in range(2)]
    key, secret = await ours.create("acme", "x")
    assert await theirs.find(secret) is not None
    assert await ours.revoke("other", key.id) is None
    revoked = await ours.revoke("acme", key.id)
    assert revoked is not None
    assert revoked.revoked_at == clock.now
    assert await ours.find(secret) is None
    assert not await ours.is_valid(key)
    clock.now += CACHE_SECONDS
    assert await theirs.find(secret) is None
    assert await ours.of("acme") == []
    assert await ours.revoke("acme", key.id) == revoked, "a second time changes nothing"


async def test_a_key_is_looked_up_once_in_a_few_seconds(
    store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look_up = store.key_by_hash

    async def counted(hash_: str) -> Any:
        asked.append(hash_)
        return await look_up(hash_)

    monkeypatch.setattr(store, "key_by_hash", counted)
    keys = Keys(store, clock=clock, ticks=clock)
    _, secret = await keys.create("acme", "x")
    for _ in range(50):
        assert await keys.find(secret) is not None
    assert asked == [hash_of(secret)]
    clock.now += CACHE_SECONDS
    await keys.find(secret)
    assert len(asked) == 2


async def test_when_a_key_was_used_is_noted_now_and_then(store: Store, clock: Any) -> None:
    keys = Keys(store, clock=clock, ticks=clock)
    _, secret = await keys.create("acme", "x")

    async def last_used() -> float | None:
        return (await store.keys())[0].last_used_at

    assert await last_used() is None
    first = clock.now
    await keys.find(secret)
    assert await last_used() == first
    clock.now += TOUCH_SECONDS - 1
    await keys.find(secret)
    assert await last_used() == first
    clock.now += CACHE_SECONDS
    await keys.find(secret)
    assert await last_used() == clock.now


async def test_a_key_is_written_down_nowhere(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = Keys(store)
    _, secret = await keys.create("acme", "x")
    await keys.find(secret)
    await keys.find(secret + "x")
    assert secret.removeprefix("pk_") not in caplog.text
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert hash_of(secret).encode() in written
    assert secret.encode() not in written


def test_no_two_keys_are_alike() -> None:
    assert len({new_secret() for _ in range(1000)}) == 1000

"""SIP trunks in the store, in every engine."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.sip import SipTrunk, StoredTrunk
from omni.store.base import Store, VersionConflictError
from tests.contract.releases import forget_trunks


def stored(name: str = "office", **more: Any) -> StoredTrunk:
    given = {"name": name, "host": "pbx.example", "allow": ["10.0.0.0/8", "2001:db8::/32"], **more}
    return StoredTrunk(trunk=SipTrunk.model_validate(given), created_at=1.0)


WHOLE = {
    "register": True,
    "username": "line",
    "password": "s3cret",
    "inbound_username": "door",
    "inbound_password": "t0p é",
    "numbers": ["+12025550142"],
    "description": "the office",
    "transfers": "sip",
}


async def test_a_trunk_is_kept_with_its_secrets_and_by_version(store: Store) -> None:
    assert await store.trunks() == []
    first = await store.save_trunk(stored(**WHOLE))
    assert first.version == 1
    found = await store.trunk("default", "office")
    assert found == first
    assert found.trunk.password is not None
    assert found.trunk.password.get_secret_value() == "s3cret"
    assert found.trunk.inbound_password is not None
    assert found.trunk.inbound_password.get_secret_value() == "t0p é"
    assert found.trunk.register_
    changed = first.model_copy(update={"trunk": first.trunk.model_copy(update={"max_calls": 3})})
    second = await store.save_trunk(changed)
    for stale in (first, stored(), stored("nobody").model_copy(update={"version": 3})):
        with pytest.raises(VersionConflictError):
            await store.save_trunk(stale)
    assert await store.trunk("default", "office") == second
    assert await store.trunk("default", "nobody") is None
    assert await store.trunk("def/ault", "office") is None


async def test_names_are_an_organisations_own(store: Store) -> None:
    ours = await store.save_trunk(stored())
    theirs = await store.save_trunk(
        stored(org="rival/sub").model_copy(update={"created_at": 0.5})  # a sub-account's has a slash
    )
    assert await store.trunks() == [theirs, ours]
    assert await store.trunks("default") == [ours]
    assert await store.trunks("rival/sub") == [theirs]
    assert await store.trunks("rival") == []
    assert not await store.remove_trunk("rival", "office")
    assert await store.remove_trunk("rival/sub", "office")
    assert not await store.remove_trunk("rival/sub", "office")
    assert await store.trunks() == [ours]
    assert (await store.size())["sip_trunks"] == 1
    again = await store.save_trunk(stored(org="rival/sub"))
    assert again.version == 1


async def test_a_database_of_before_takes_trunks(engine: Any) -> None:
    store = await engine.store()
    await store.close()
    forget_trunks(engine.kind, engine.place)
    store = await engine.store()
    saved = await store.save_trunk(stored())
    assert await store.trunks() == [saved]

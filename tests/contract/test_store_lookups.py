"""What lists look up for many rows at once."""

from __future__ import annotations

from typing import Any

from omni.model.contact import Contact, Identity, IdentityKind
from omni.store.base import Store


async def test_a_conversations_calls_come_newest_first(store: Store, make: Any) -> None:
    """In the order they began to exist: the clocks of two workers may differ."""
    first = await make.open(store, "wa-3", party="p", is_open=False)
    await make.open(store, "wa-1", party="p", is_open=False, started_at=900.0)
    await make.open(store, "wa-2", party="p", started_at=800.0)
    await make.open(store, "wa-9", party="q")
    found = await store.calls_of_conversation(first.conversation)
    assert [call.id for call in found] == ["wa-2", "wa-1", "wa-3"]
    assert [call.id for call in await store.calls_of_conversation(first.conversation, limit=1)] == ["wa-2"]
    older = await store.calls_of_conversation(first.conversation, before="wa-2")
    assert [call.id for call in older] == ["wa-1", "wa-3"]
    assert await store.calls_of_conversation(first.conversation, before="wa-unknown") == []
    assert await store.calls_of_conversation("default/echo/whatsapp:100/nobody") == []


async def test_many_people_are_read_at_once(store: Store) -> None:
    saved = {}
    for number in range(3):
        identity = Identity(kind=IdentityKind.PHONE, value=f"3460011122{number}")
        contact = Contact(id=f"ct_{number}", home=identity.key, identities=(identity,), name=f"Ada {number}")
        saved[contact.id] = await store.save_contact(contact)
    assert await store.contacts(["ct_2", "ct_unknown", "ct_0", "ct_2"]) == {
        "ct_0": saved["ct_0"],
        "ct_2": saved["ct_2"],
    }
    assert await store.contacts([]) == {}

"""How far many logs are, asked at once."""

from __future__ import annotations

from typing import Any

from omni.store.base import Store


async def test_the_ends_of_many_logs(store: Store, make: Any) -> None:
    one = await make.open(store, "wa-1")
    await store.append(make.step(one, count=4))
    await make.open(store, "wa-2")
    assert await store.last_seqs(["wa-1", "wa-2", "wa-unknown"]) == {"wa-1": 5, "wa-2": 1}
    assert await store.last_seqs([]) == {}


async def test_the_newest_calls_of_many_conversations(store: Store, make: Any) -> None:
    first = await make.open(store, "wa-3", party="p", is_open=False)
    await make.open(store, "wa-1", party="p", is_open=False, started_at=900.0)
    await make.open(store, "wa-2", party="p", started_at=800.0)
    other = await make.open(store, "wa-9", party="q", is_open=False)
    asked = [first.conversation, other.conversation, "default/echo/whatsapp:100/nobody"]
    assert await store.newest_calls(asked) == {first.conversation: "wa-2", other.conversation: "wa-9"}
    assert await store.newest_calls([]) == {}


async def test_a_conversation_with_an_odd_name_is_found(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", party="half a pair \ud83d and a \0")
    assert await store.newest_calls([call.conversation]) == {call.conversation: "wa-1"}

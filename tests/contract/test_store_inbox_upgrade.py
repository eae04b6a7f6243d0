"""What was there before the inbox is listed, searched and counted after the upgrade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from servers.mongodb import is_stand_in

from omni.model.entry import UserRevoked, UserSaid
from omni.model.message import Message
from omni.store.inbox import InboxFilter
from tests.contract.releases import forget_the_inbox

ANY = InboxFilter("default", now=1_000.0)


def heard(id_: str, text: str) -> UserSaid:
    return UserSaid(id=id_, text=text, provider_id=f"wamid.{id_}", at=1.0, message=Message.of(text))


async def test_calls_and_people_of_before_the_inbox_are_in_it(engine: Any, make: Any) -> None:
    store = await engine.store()
    for number in range(4):  # four conversations: the first two over, each after two calls
        for nth in range(2 if number < 2 else 1):
            call = make.call(f"wa-{number}{nth}", party=f"p{number}", transport="sms", started_at=float(number))
            step = make.step(call, heard("m1", f"kept {number}{nth}"), heard("m2", "secret"))
            call = step.call.model_copy(update={"last_at": 100.0 - number})
            await store.append(replace(step, call=call))
            step = make.step(call, UserRevoked(id="m2", target="wamid.m2"))
            over = {"is_open": number >= 2, "last_at": call.last_at, "waiting_since": 50.0 if number == 3 else None}
            await store.append(replace(step, call=step.call.model_copy(update=over)))
    ada = await store.save_contact(make.contact("ct_1", "491701234567", name="Ada"))
    silent = make.step(make.call("wa-40", party="p4", started_at=99.5))
    await store.append(replace(silent, call=silent.call.model_copy(update={"last_at": 0.0})))
    await store.close()
    forget_the_inbox(engine.kind, engine.place)

    store = await engine.store()
    for where, ids in (
        (ANY, ["wa-40", "wa-20", "wa-30"]),
        (replace(ANY, transports=("sms",)), ["wa-20", "wa-30"]),
        (replace(ANY, state="ended"), ["wa-01", "wa-11"]),
        (replace(ANY, order="waiting"), ["wa-30"]),
    ):
        assert [row.call.id for row in (await store.conversation_list(where)).rows] == ids
    assert {hit.call for hit in await store.search_messages("default", "kept")} == {
        "wa-00", "wa-01", "wa-10", "wa-11", "wa-20", "wa-30"
    }  # fmt: skip
    assert await store.search_messages("default", "secret") == []
    assert await store.search_contacts("default", "ada 1234") == [ada]
    assert sum(count.number for count in await store.conversation_counts("default", 0.0)) == 3
    assert len(await store.tallies("default", 0.0, 1_000.0)) == 7
    again = make.step((await store.call("wa-20")), heard("m9", "kept on"))
    await store.append(replace(again, call=again.call.model_copy(update={"last_at": 200.0})))
    assert [row.call.id for row in (await store.conversation_list(ANY)).rows] == ["wa-20", "wa-40", "wa-30"]
    assert [hit.seq for hit in await store.search_messages("default", "kept on")] == [4]


async def test_much_that_was_said_before_the_inbox_is_indexed_without_anybody_looking(engine: Any, make: Any) -> None:
    if engine.kind == "mongodb" and is_stand_in(engine.place):
        pytest.skip("the stand-in for mongod cannot mark the batches of a long log: its expression tree is too large")
    store = await engine.store()
    call = make.call("wa-1", party="p")
    for number in range(10):
        step = make.step(call, *(heard(f"m{number}.{n}", f"kept w{number}") for n in range(30)))
        await store.append(step)
        call = step.call
    await store.close()
    forget_the_inbox(engine.kind, engine.place)
    store = await engine.store()
    hits = await store.search_messages("default", "kept", limit=1_000)
    assert sorted(hit.seq for hit in hits) == list(range(1, 301))

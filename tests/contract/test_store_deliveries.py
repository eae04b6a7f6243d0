"""Deliveries: changed atomically by several at once, withdrawn only while nobody sends them, found by any piece."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import JsonValue

from omni.model.delivery import Delivery, DeliveryState, Receipt, claim, hand_back
from omni.model.entry import UserSaid
from omni.model.message import Message, Template
from omni.store.base import Store


def count(delivery: Delivery) -> Delivery:
    return delivery.model_copy(update={"attempts": delivery.attempts + 1})


async def test_deliveries_come_in_the_order_they_were_asked_for(store: Store, make: Any) -> None:
    await make.queue(store, *(make.delivery(f"dl_{n}", "wa-1", seq) for n, seq in enumerate([3, 1, 2])))
    await make.queue(store, make.delivery("dl_other", "wa-2", 1))
    assert [delivery.id for delivery in await store.deliveries("wa-1")] == ["dl_1", "dl_2", "dl_0"]
    assert await store.deliveries("wa-0") == []
    assert await store.delivery("dl_none") is None


async def test_many_changes_of_one_delivery_all_count(two_stores: tuple[Store, Store], make: Any) -> None:
    await make.queue(two_stores[0], make.delivery("dl_1", "wa-1", 1))
    results = await asyncio.gather(*(two_stores[n % 2].change_deliveries({"dl_1": count}) for n in range(16)))
    assert sorted(result["dl_1"].attempts for result in results) == list(range(1, 17)), "each saw its own change"
    after = await two_stores[0].delivery("dl_1")
    assert after is not None
    assert after.attempts == 16


async def test_changes_of_several_deliveries_race_and_all_count(two_stores: tuple[Store, Store], make: Any) -> None:
    ids = [f"dl_{n}" for n in range(5)]
    await make.queue(two_stores[0], *(make.delivery(each, "wa-1", n + 1) for n, each in enumerate(ids)))
    groups = [ids, ids[:3], ids[2:], ids[::-1], ids[1:4]]
    await asyncio.gather(
        *(two_stores[n % 2].change_deliveries(dict.fromkeys(group, count)) for n, group in enumerate(groups))
    )
    after = [delivery.attempts for delivery in await two_stores[0].deliveries("wa-1")]
    assert after == [sum(each in group for group in groups) for each in ids]


async def test_a_change_returns_what_there_is_now(store: Store, make: Any) -> None:
    first, second = make.delivery("dl_1", "wa-1", 1), make.delivery("dl_2", "wa-1", 2)
    await make.queue(store, first, second)
    after = await store.change_deliveries({"dl_1": count, "dl_2": lambda _: None, "dl_none": count})
    assert set(after) == {"dl_1", "dl_2"}
    assert after["dl_1"].attempts == 1
    assert after["dl_2"] == second
    assert await store.delivery("dl_1") == after["dl_1"]
    assert await store.delivery("dl_2") == second
    assert await store.delivery("dl_none") is None
    assert await store.change_deliveries({}) == {}


async def test_a_change_that_gives_the_same_back_changes_nothing(store: Store, make: Any) -> None:
    await make.queue(store, make.delivery("dl_1", "wa-1", 1))
    assert (await store.change_deliveries({"dl_1": lambda same: same}))["dl_1"].attempts == 0


async def test_unsent_are_those_that_wait_or_are_being_sent(store: Store, make: Any) -> None:
    states = list(DeliveryState)
    await make.queue(store, *(make.delivery(f"dl_{state}", "wa-1", n + 1) for n, state in enumerate(states)))
    await store.change_deliveries({f"dl_{state}": make.changed(state=state) for state in states})
    loaded = await store.load_call("wa-1")
    assert loaded is not None
    assert [delivery.state for delivery in loaded.unsent] == [DeliveryState.QUEUED, DeliveryState.SENDING]


async def test_a_delivery_is_found_by_the_provider_id_of_any_piece(store: Store, make: Any) -> None:
    await make.queue(store, make.delivery("dl_1", "wa-1", 1), make.delivery("dl_2", "wa-1", 2))
    await make.queue(store, make.delivery("dl_3", "wa-2", 1, channel="whatsapp:200"))
    await store.change_deliveries(
        {
            "dl_1": make.changed(receipts=(Receipt(provider_id="w.a"), Receipt(), Receipt(provider_id="w.c"))),
            "dl_2": make.changed(receipts=(Receipt(provider_id="w.d"),)),
            "dl_3": make.changed(receipts=(Receipt(provider_id="w.a"),)),
        }
    )

    async def found(channel: str, provider_id: str) -> str | None:
        delivery = await store.find_delivery(channel, provider_id)
        return delivery.id if delivery else None

    assert await found("whatsapp:100", "w.a") == "dl_1"
    assert await found("whatsapp:100", "w.c") == "dl_1"
    assert await found("whatsapp:100", "w.d") == "dl_2"
    assert await found("whatsapp:200", "w.a") == "dl_3"
    assert await found("whatsapp:200", "w.c") is None
    assert await found("whatsapp:100", "w.none") is None


async def test_what_waits_is_withdrawn_by_call_person_or_agent(store: Store, make: Any) -> None:
    def waiting(delivery_id: str, call: str, **more: Any) -> Any:
        return make.queue(store, make.delivery(delivery_id, call, 1, **more), **more)

    await waiting("dl_1", "wa-1", contact="ct_1", agent="echo")
    await waiting("dl_2", "wa-2", contact="ct_2", agent="echo")
    await waiting("dl_3", "wa-3", contact="ct_2", agent="other")
    await waiting("dl_4", "wa-4", contact="ct_3", agent="echo", org="elsewhere")
    await waiting("dl_5", "wa-5", contact="ct_4", agent="echo")

    assert await store.cancel_deliveries(call="wa-1", now=7.0) == 1
    assert await store.cancel_deliveries(call="wa-1", now=8.0) == 0
    cancelled = await store.delivery("dl_1")
    assert cancelled is not None
    assert (cancelled.state, cancelled.updated_at) == (DeliveryState.CANCELLED, 7.0)
    assert await store.cancel_deliveries(contact="ct_2", now=7.0) == 2
    assert await store.cancel_deliveries(agent=("default", "echo"), now=7.0) == 1
    left = await store.delivery("dl_4")
    assert left is not None
    assert left.state is DeliveryState.QUEUED


async def test_only_the_bots_own_words_are_withdrawn_and_only_while_they_wait(store: Store, make: Any) -> None:
    await make.queue(
        store,
        make.delivery("dl_bot", "wa-1", 1),
        make.delivery("dl_human", "wa-1", 2, origin="human"),
        make.delivery("dl_system", "wa-1", 3, origin="system"),
        make.delivery("dl_sending", "wa-1", 4),
        make.delivery("dl_sent", "wa-1", 5),
    )
    await store.change_deliveries({"dl_sending": make.sending(), "dl_sent": make.changed(state=DeliveryState.SENT)})
    assert await store.cancel_deliveries(call="wa-1", now=7.0) == 1
    assert [delivery.state.value for delivery in await store.deliveries("wa-1")] == [
        "cancelled",
        "queued",
        "queued",
        "sending",
        "sent",
    ]
    on_its_way = await store.delivery("dl_sending")
    assert on_its_way is not None
    assert on_its_way.withdrawn, "it is not begun again"


async def test_withdrawing_misses_nothing_that_is_handed_back_meanwhile(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    ids = [f"dl_{n}" for n in range(6)]
    await make.queue(two_stores[0], *(make.delivery(each, "wa-1", n + 1) for n, each in enumerate(ids)))
    await two_stores[0].change_deliveries({each: lambda delivery: claim(delivery, 1, 1.0) for each in ids})
    await asyncio.gather(
        two_stores[0].cancel_deliveries(call="wa-1", now=7.0),
        *(two_stores[1].change_deliveries({each: lambda delivery: hand_back(delivery, 5.0)}) for each in ids),
    )
    assert {delivery.state.value for delivery in await two_stores[0].deliveries("wa-1")} == {"cancelled"}


async def test_a_delivery_is_either_withdrawn_or_sent_never_both(two_stores: tuple[Store, Store], make: Any) -> None:
    def begin(delivery: Delivery) -> Delivery | None:
        waits = delivery.state is DeliveryState.QUEUED
        return delivery.model_copy(update={"state": DeliveryState.SENDING}) if waits else None

    for lap in range(6):
        call, delivery_id = f"wa-{lap}", f"dl_{lap}"
        await make.queue(two_stores[0], make.delivery(delivery_id, call, 1))
        cancelling = two_stores[0].cancel_deliveries(call=call, now=7.0)
        claiming = two_stores[1].change_deliveries({delivery_id: begin})
        if lap % 2:
            cancelled, claimed = await asyncio.gather(cancelling, claiming)
        else:
            claimed, cancelled = await asyncio.gather(claiming, cancelling)
        state = "cancelled" if cancelled else "sending"
        assert claimed[delivery_id].state.value == state
        after = await two_stores[0].delivery(delivery_id)
        assert after is not None
        assert after.state.value == state


async def test_a_template_travels_as_the_provider_describes_it(store: Store, make: Any) -> None:
    component: dict[str, JsonValue] = {
        "type": "body",
        "parameters": [{"type": "text", "text": "$5.00", "a.b": {"$c": None}}],
    }
    template = Template(name="hello", language="en", components=(component,))
    delivery = make.delivery("dl_1", "wa-1", 1, message=Message(parts=(template,)))
    said = UserSaid(id="m", text="", provider_id="w", at=1.0, message=Message(parts=(template,)))
    await store.append(make.step(make.call("wa-1"), said, deliveries=[delivery]))
    assert await store.delivery("dl_1") == delivery
    assert (await store.entries("wa-1"))[0].fact == said

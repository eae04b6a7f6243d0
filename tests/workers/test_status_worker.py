"""Statuses come twice, late, early and in any order; what they say ends up in the record once."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from omni.bus.base import Outgoing
from omni.model.delivery import DeliveryError, accept, claim, fail
from omni.model.queues import STATUSES

THROTTLED = DeliveryError(code="pair_rate_limited", reason="too much to this person", provider_code=131056)
UNDELIVERABLE = DeliveryError(code="undeliverable", reason="not on the platform", provider_code=131026)


async def sent(stage, text="one", provider_id="wamid.1", **more):
    """A delivery that the provider took."""
    delivery = await stage.ask(text, publish=False, **more)
    now = stage.clock.now()
    await stage.store.change_deliveries(
        {delivery.id: lambda record: accept(claim(record, 1, now), 0, provider_id, now)}
    )
    return delivery


async def statuses_are_done(stage):
    async def is_empty():
        depth = await stage.bus.depth("statuses")
        return depth.ready + depth.taken == 0

    await stage.until(is_empty)


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])))
async def test_in_any_order_a_delivery_ends_as_read(stage, order):
    delivery = await sent(stage)
    await stage.follow()
    for word in order:
        await stage.report(stage.status(delivery, word))
    await statuses_are_done(stage)
    record = await stage.store.delivery(delivery.id)
    assert record.state == "read"


async def test_a_status_without_a_tracker_is_found_by_the_providers_id(stage):
    delivery = await sent(stage, provider_id="wamid.x")
    await stage.follow()
    await stage.report(stage.status(delivery, "delivered", "wamid.x", tracker=None))
    await stage.becomes(delivery, "delivered")


async def test_a_status_before_the_answer_finds_its_delivery(stage):
    """The status carries our tracker, so it does not matter that nobody wrote the provider's id down yet."""
    gate = asyncio.Event()
    stage.cloud.answers["one"].append(gate)
    await stage.deliver()
    await stage.follow()
    delivery = await stage.ask("one")
    await stage.until(lambda: stage.cloud.under_way)
    await stage.report(stage.status(delivery, "delivered", "wamid.1"))
    await stage.becomes(delivery, "delivered")
    gate.set()
    await stage.drained()
    record = await stage.store.delivery(delivery.id)
    assert record.state == "delivered"
    assert len(stage.cloud.sent) == 1


async def test_a_status_of_an_unknown_message_waits_for_it(stage):
    delivery = await stage.ask("one", publish=False)
    worker = await stage.follow()
    await stage.report(stage.status(delivery, "delivered", "wamid.later", tracker=None))
    await stage.until(lambda: len(worker._parked) == 1)
    now = stage.clock.now()
    await stage.store.change_deliveries(
        {delivery.id: lambda record: accept(claim(record, 1, now), 0, "wamid.later", now)}
    )
    await stage.clock.pass_until(lambda: not worker._has_parked.is_set())
    await stage.becomes(delivery, "delivered")


async def test_statuses_of_unknown_messages_are_forgotten_after_three_minutes(stage):
    delivery = await stage.ask("one", publish=False)
    worker = await stage.follow()
    await stage.report(stage.status(delivery, "delivered", "wamid.foreign", tracker=None))
    await stage.until(lambda: len(worker._parked) == 1)
    assert await stage.clock.pass_until(lambda: not worker._has_parked.is_set()) > 60


async def test_no_more_unknown_ones_are_kept_than_fit(stage):
    delivery = await stage.ask("one", publish=False)
    worker = await stage.follow(park_at_most=10)
    await stage.report(*(stage.status(delivery, "delivered", f"wamid.f{n}", tracker=None) for n in range(50)))
    await statuses_are_done(stage)
    assert len(worker._parked) == 10


async def test_a_failure_is_told_once_however_often_it_comes(stage):
    delivery = await sent(stage)
    await stage.listen()
    await stage.follow()
    failed = stage.status(delivery, "failed", error=UNDELIVERABLE)
    await stage.report(failed)
    await statuses_are_done(stage)
    await stage.report(failed)
    await statuses_are_done(stage)
    await stage.until(lambda: stage.inputs)
    record = await stage.store.delivery(delivery.id)
    assert (record.state, record.error.code) == ("failed", "undeliverable")
    assert [told.key for told in stage.inputs] == [f"delivery:{delivery.id}:failed"]


async def test_an_arrival_beats_a_failure(stage):
    delivery = await sent(stage)
    await stage.follow()
    await stage.report(stage.status(delivery, "failed", error=UNDELIVERABLE))
    await stage.becomes(delivery, "failed")
    await stage.report(stage.status(delivery, "delivered"))
    await stage.becomes(delivery, "delivered")
    await stage.report(stage.status(delivery, "failed", error=UNDELIVERABLE))
    await statuses_are_done(stage)
    assert (await stage.store.delivery(delivery.id)).state == "delivered"


async def test_a_throttled_delivery_is_sent_again_later(stage):
    await stage.deliver()
    await stage.follow()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "sent")
    await stage.report(stage.status(delivery, "failed", "wamid.1", error=THROTTLED))
    assert await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 2) == 4
    record = await stage.becomes(delivery, "sent")
    assert record.receipts[0].provider_id == "wamid.2"


async def test_a_second_copy_of_an_old_failure_changes_nothing(stage):
    await stage.deliver()
    await stage.follow()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "sent")
    failed = stage.status(delivery, "failed", "wamid.1", error=THROTTLED)
    await stage.report(failed)
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 2)
    await stage.becomes(delivery, "sent")
    await stage.report(failed)
    await statuses_are_done(stage)
    assert (await stage.store.delivery(delivery.id)).state == "sent"


async def test_an_arrival_cancels_the_send_that_was_planned(stage):
    await stage.deliver()
    await stage.follow()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "sent")
    await stage.report(stage.status(delivery, "failed", "wamid.1", error=THROTTLED))
    await stage.until(lambda: stage.clock.alarms)
    await stage.report(stage.status(delivery, "delivered", "wamid.1"))
    await stage.becomes(delivery, "delivered")
    stage.clock.advance(10)
    await stage.drained()
    assert len(stage.cloud.sent) == 1


async def test_after_three_more_sends_a_throttled_delivery_fails(stage):
    await stage.listen()
    await stage.deliver()
    await stage.follow()
    delivery = await stage.ask("one")
    for n in range(1, 5):
        await stage.clock.pass_until(lambda n=n: len(stage.cloud.accepted) == n)
        await stage.becomes(delivery, "sent")
        await stage.report(stage.status(delivery, "failed", f"wamid.{n}", error=THROTTLED))
        await statuses_are_done(stage)
    record = await stage.becomes(delivery, "failed")
    assert record.error.code == "pair_rate_limited"
    assert len(stage.cloud.sent) == 4
    await stage.until(lambda: stage.inputs)


async def test_a_tracker_counts_only_on_the_channel_the_delivery_went_out_on(stage):
    delivery = await sent(stage)
    await stage.follow()
    await stage.report(
        stage.status(delivery, "read", channel="whatsapp:666"),
        stage.status(delivery, "read", org="another"),
        stage.status(delivery, "read", piece=9_999),
    )
    await statuses_are_done(stage)
    record = await stage.store.delivery(delivery.id)
    assert record.state == "sent"
    assert len(record.receipts) == 1


async def test_what_changes_nothing_is_not_written(stage):
    delivery = await sent(stage)
    await stage.follow()
    read = stage.status(delivery, "read")
    await stage.report(read)
    before = await stage.becomes(delivery, "read")
    stage.clock.advance(5)
    await stage.report(*[read] * 20, read.model_copy(update={"state": None, "word": "odd"}))
    await statuses_are_done(stage)
    after = await stage.store.delivery(delivery.id)
    assert after == before


async def test_a_large_batch_is_applied(stage):
    deliveries = [await sent(stage, f"r{n}", f"wamid.{n}", call=f"wa-{n}") for n in range(40)]
    for n in range(0, 40, 4):
        await stage.report(
            *(
                stage.status(delivery, word, f"wamid.{n + at}")
                for at, delivery in enumerate(deliveries[n : n + 4])
                for word in ("sent", "delivered", "read")
            )
        )
    await stage.follow()
    for delivery in deliveries:
        await stage.becomes(delivery, "read")


async def test_an_odd_body_is_a_dead_letter_and_the_rest_goes_on(stage):
    delivery = await sent(stage)
    await stage.bus.publish([Outgoing(queue="statuses", body=b"[{}]", id="odd")])
    await stage.follow()
    await stage.report(stage.status(delivery, "delivered"))
    await stage.becomes(delivery, "delivered")

    async def dead():
        return await stage.bus.dead_letters("statuses")

    [letter] = await stage.until(dead)
    assert letter.id == "odd"


async def test_a_failure_that_was_written_but_not_told_is_told_on_redelivery(stage):
    """Killed between the record and the input: the status comes again, marked, and the call learns of it."""
    delivery = await sent(stage)
    await stage.store.change_deliveries({delivery.id: lambda record: fail(record, UNDELIVERABLE, stage.clock.now())})
    taken = []
    consumer = await stage.bus.consume(STATUSES, taken.append, prefetch=1)
    await stage.report(stage.status(delivery, "failed", error=UNDELIVERABLE))
    await stage.until(lambda: taken)
    await consumer.stop()
    taken[0].release()
    await stage.listen()
    await stage.follow()
    await stage.until(lambda: stage.inputs)
    assert stage.inputs[0].delivery == delivery.id

"""The delivery worker keeps what design.md promises about replies: in order, at least once, flagged when unclear,
and not at all when they were withdrawn."""

from __future__ import annotations

import asyncio

import pytest

from channels.base import Action, RefusedError
from omni.bus.base import Outgoing
from omni.model.delivery import DeliveryError, DeliveryState, accept, claim, fail
from omni.model.ids import partition_of
from omni.model.inbound import DeliveryFailed
from omni.model.message import Message, Template

DAY = 24 * 3600.0


def busy(**more):
    return RefusedError("try again", action=Action.RETRY, code="transient", **more)


def lost_answer():
    return RefusedError("the connection broke", action=Action.RETRY, code="transient", is_unclear=True)


def refusal(action, code="x", **more):
    return RefusedError(f"refused: {action}", action=action, code=code, **more)


async def test_a_reply_is_sent_and_the_record_says_so(stage):
    await stage.deliver()
    delivery = await stage.ask("hello")
    record = await stage.becomes(delivery, "sent")
    await stage.drained()
    assert stage.cloud.sent == [("hello", delivery.tracker(0))]
    assert record.receipts[0].provider_id == "wamid.1"
    assert record.attempts == 1
    assert record.unclear == 0


async def test_replies_of_a_call_go_out_in_order_while_the_first_is_retried(stage):
    stage.cloud.answers["one"].extend([busy(), busy(), busy(), busy()])
    await stage.deliver()
    for text in ("one", "two", "three"):
        await stage.ask(text)
    took = await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3)
    assert stage.cloud.accepted == ["one", "two", "three"]
    assert [text for text, _ in stage.cloud.sent] == ["one"] * 5 + ["two", "three"]
    assert took == 1 + 4 + 16 + 60


async def test_the_pieces_of_a_long_reply_go_out_in_order_and_none_twice(stage):
    stage.cloud.answers["b"].append(busy())
    await stage.deliver()
    delivery = await stage.ask("a|b|c")
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3)
    record = await stage.becomes(delivery, "sent")
    assert stage.cloud.accepted == ["a", "b", "c"]
    assert [text for text, _ in stage.cloud.sent] == ["a", "b", "b", "c"]
    assert [receipt.provider_id for receipt in record.receipts] == ["wamid.1", "wamid.2", "wamid.3"]


async def test_other_calls_go_on_while_one_waits(stage):
    stage.cloud.answers["slow"].extend([busy()] * 4)
    await stage.deliver()
    await stage.ask("slow", "wa-1")
    await stage.until(lambda: stage.clock.alarms)
    for n in range(50):
        await stage.ask(f"quick {n}", f"wa-{n + 2}")
    await stage.until(lambda: len(stage.cloud.accepted) == 50)
    assert "slow" not in stage.cloud.accepted


async def test_a_throttled_pair_holds_only_its_own_conversation(stage):
    stage.channels.add("200", pair_burst=2, pair_interval=6)
    await stage.deliver()
    for n in range(4):
        await stage.ask(f"flood {n}", "wa-1", number="200")
    await stage.ask("other", "wa-2", number="200")
    await stage.until(lambda: len(stage.cloud.accepted) == 3)
    assert set(stage.cloud.accepted) == {"flood 0", "flood 1", "other"}
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 5)
    assert dict(stage.cloud.at) == {"flood 0": 0, "flood 1": 0, "other": 0, "flood 2": 6, "flood 3": 12}


async def test_a_pair_that_the_provider_refuses_waits_longer_each_time(stage):
    stage.cloud.answers["one"].extend([refusal(Action.SLOW_PAIR)] * 3)
    await stage.deliver()
    await stage.ask("one", "wa-1")
    await stage.ask("two", "wa-1")
    await stage.ask("other", "wa-2")
    await stage.until(lambda: stage.cloud.accepted == ["other"])
    took = await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3)
    assert took == 1 + 4 + 16
    assert stage.cloud.accepted == ["other", "one", "two"]


async def test_a_slowed_number_does_not_hold_another_number(stage):
    stage.channels.add("200")
    stage.cloud.answers["one"].append(refusal(Action.SLOW_NUMBER, retry_after=30))
    await stage.deliver()
    await stage.ask("one", "wa-1", number="200")
    await stage.until(lambda: stage.clock.alarms)
    for n in range(20):
        await stage.ask(f"held {n}", f"wa-held-{n}", number="200")
        await stage.ask(f"free {n}", f"wa-free-{n}")
    await stage.until(lambda: len(stage.cloud.accepted) == 20)
    assert all(text.startswith("free") for text in stage.cloud.accepted)
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 41, step=0.25)
    assert stage.clock.time - 1_800_000_000 >= 30


async def test_no_more_requests_at_once_than_there_are_slots(stage):
    gate = asyncio.Event()
    for n in range(10):
        stage.cloud.answers[f"r{n}"].append(gate)
    await stage.deliver(slots=3)
    for n in range(10):
        await stage.ask(f"r{n}", f"wa-{n}")
    await stage.until(lambda: stage.cloud.under_way == 3)
    gate.set()
    await stage.until(lambda: len(stage.cloud.accepted) == 10)
    assert stage.cloud.most_under_way == 3


async def test_retry_after_is_honoured(stage):
    stage.cloud.answers["one"].append(busy(retry_after=33))
    await stage.deliver()
    await stage.ask("one")
    assert await stage.clock.pass_until(lambda: stage.cloud.accepted) == 33


async def test_after_five_tries_the_call_is_told(stage):
    stage.cloud.answers["one"].extend([busy()] * 5)
    await stage.listen()
    await stage.deliver()
    delivery = await stage.ask("one")
    await stage.ask("two")
    await stage.clock.pass_until(lambda: stage.cloud.accepted)
    record = await stage.becomes(delivery, "failed")
    assert record.error.code == "transient"
    await stage.until(lambda: stage.inputs)
    [told] = stage.inputs
    assert isinstance(told, DeliveryFailed)
    assert (told.key, told.call, told.delivery) == (f"delivery:{delivery.id}:failed", "wa-1", delivery.id)


@pytest.mark.parametrize("action", [Action.GIVE_UP, Action.STOP_TEMPLATE, Action.STOP_MARKETING, Action.WINDOW_CLOSED])
async def test_a_final_refusal_fails_at_once(stage, action):
    stage.cloud.answers["one"].append(refusal(action, "some_code", provider_code=131026))
    await stage.listen()
    await stage.deliver()
    delivery = await stage.ask("one")
    record = await stage.becomes(delivery, "failed")
    await stage.until(lambda: stage.inputs)
    assert record.error.code == stage.inputs[0].code == "some_code"
    assert len(stage.cloud.sent) == 1


async def test_a_successor_tells_of_a_failure_that_its_predecessor_only_wrote_down(stage):
    """Killed between the record and the input: the message is still there, and so is the input after it."""
    stage.cloud.answers["one"].append(asyncio.Event())
    worker = await stage.deliver()
    delivery = await stage.ask("one")
    await stage.until(lambda: stage.cloud.under_way == 1)
    await worker.stop(0)  # the message goes back with its redelivered mark
    error = DeliveryError(code="undeliverable", reason="gone")
    await stage.store.change_deliveries({delivery.id: lambda record: fail(record, error, stage.clock.now())})
    await stage.listen()
    await stage.deliver()
    await stage.until(lambda: stage.inputs)
    assert stage.inputs[0].code == "undeliverable"
    await stage.drained()
    assert len(stage.cloud.sent) == 1


# --- unknown outcomes -------------------------------------------------------------------------------------------------


async def crash_inside_the_provider(stage, text="one"):
    """A worker that dies while the provider has its request; returns the delivery."""
    stage.cloud.answers[text].append(asyncio.Event())
    worker = await stage.deliver()
    delivery = await stage.ask(text)
    await stage.until(lambda: stage.cloud.under_way == 1)
    await worker.stop(0)
    assert (await stage.store.delivery(delivery.id)).state == DeliveryState.SENDING
    return delivery


async def test_after_a_crash_inside_the_provider_it_is_sent_exactly_once_more_and_counted(stage):
    delivery = await crash_inside_the_provider(stage)
    await stage.deliver()
    took = await stage.clock.pass_until(lambda: stage.cloud.accepted)
    record = await stage.becomes(delivery, "sent")
    await stage.drained()
    assert took == 20
    assert len(stage.cloud.sent) == 2
    assert record.unclear == 1


async def test_after_a_crash_a_status_saves_the_second_send(stage):
    delivery = await crash_inside_the_provider(stage)
    await stage.follow()
    await stage.deliver()
    await stage.until(lambda: stage.clock.alarms)
    await stage.report(stage.status(delivery, "sent", "wamid.from-the-dead"))
    record = await stage.becomes(delivery, "sent")
    await stage.clock.pass_until(lambda: not stage.clock.alarms, most=60)
    await stage.drained()
    assert len(stage.cloud.sent) == 1
    assert (record.unclear, record.receipts[0].provider_id) == (0, "wamid.from-the-dead")


async def test_a_crash_before_the_claim_costs_no_wait(stage):
    delivery = await stage.ask("one")
    gate = asyncio.Event()
    stage.cloud.answers["first"].append(gate)
    worker = await stage.deliver()
    await stage.becomes(delivery, "sent")
    await worker.stop(0)
    await stage.publish(delivery)  # as if its acknowledgement had been lost
    await stage.deliver()
    await stage.drained()
    assert len(stage.cloud.sent) == 1


async def test_a_crash_in_the_middle_of_the_pieces_sends_only_the_missing_ones(stage):
    stage.cloud.answers["b"].append(asyncio.Event())
    worker = await stage.deliver()
    delivery = await stage.ask("a|b|c")
    await stage.until(lambda: [text for text, _ in stage.cloud.sent] == ["a", "b"])
    await worker.stop(0)
    await stage.deliver(settle_wait=0)
    record = await stage.becomes(delivery, "sent")
    assert [text for text, _ in stage.cloud.sent] == ["a", "b", "b", "c"]
    assert record.unclear == 1


async def test_a_lost_answer_waits_for_a_status_before_the_next_try(stage):
    stage.cloud.answers["one"].append(lost_answer())
    await stage.deliver()
    delivery = await stage.ask("one")
    await stage.ask("two")
    await stage.ask("other", "wa-2")
    await stage.until(lambda: stage.cloud.accepted == ["other"])
    assert await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3) == 20
    assert stage.cloud.accepted == ["other", "one", "two"]
    assert (await stage.becomes(delivery, "sent")).unclear == 1


async def test_a_clear_refusal_can_be_withdrawn_while_it_waits(stage):
    stage.cloud.answers["one"].append(busy())
    await stage.deliver()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "queued")
    await stage.until(lambda: stage.clock.alarms)
    assert await stage.store.cancel_deliveries(call="wa-1", now=stage.clock.now()) == 1
    stage.clock.advance(5)
    await stage.drained()
    assert stage.cloud.accepted == []


# --- withdrawn --------------------------------------------------------------------------------------------------------


async def test_a_withdrawn_reply_is_not_sent(stage):
    delivery = await stage.ask("one", publish=False)
    await stage.store.cancel_deliveries(call="wa-1", now=stage.clock.now())
    await stage.publish(delivery)
    await stage.deliver()
    await stage.drained()
    assert stage.cloud.sent == []


async def test_a_reply_withdrawn_while_it_waits_for_its_turn_is_not_sent(stage):
    stage.channels.add("200", pair_burst=1, pair_interval=6)
    await stage.deliver()
    await stage.ask("one", number="200")
    second = await stage.ask("two", number="200")
    await stage.until(lambda: stage.clock.alarms)
    await stage.store.cancel_deliveries(call="wa-1", now=stage.clock.now())
    stage.clock.advance(6)
    await stage.drained()
    assert stage.cloud.accepted == ["one"]
    await stage.becomes(second, "cancelled")


async def test_cancel_and_send_race_has_one_winner(stage):
    """However they interleave: what was cancelled was never at the provider, what was sent is not cancelled."""
    await stage.deliver()

    async def cancel(call):
        return await stage.store.cancel_deliveries(call=call, now=stage.clock.now())

    deliveries = []
    for n in range(60):
        deliveries.append(await stage.ask(f"r{n}", f"wa-{n}", publish=False))
    cancelled, _ = await asyncio.gather(
        asyncio.gather(*(cancel(delivery.call) for delivery in deliveries)),
        asyncio.gather(*(stage.publish(delivery) for delivery in deliveries)),
    )
    await stage.drained()
    for was_cancelled, delivery in zip(cancelled, deliveries, strict=True):
        record = await stage.store.delivery(delivery.id)
        assert record.state == ("cancelled" if was_cancelled else "sent")
        assert (delivery.message.text in stage.cloud.accepted) is not bool(was_cancelled)


# --- breakers ---------------------------------------------------------------------------------------------------------


async def test_a_broken_token_holds_all_its_sends_until_a_probe_succeeds(stage):
    stage.channels.add("200", token="T")
    stage.channels.add("300", token="another")
    stage.cloud.answers["one"].append(refusal(Action.STOP_TOKEN))
    stage.cloud.probes.extend([refusal(Action.STOP_TOKEN), refusal(Action.STOP_TOKEN), None])
    await stage.deliver()
    await stage.ask("one", "wa-1", number="100")
    await stage.until(lambda: stage.clock.alarms)
    await stage.ask("same token", "wa-2", number="200")
    await stage.ask("another token", "wa-3", number="300")
    await stage.until(lambda: stage.cloud.accepted == ["another token"])
    took = await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3)
    assert len(stage.cloud.probed) == 3
    assert took == 90
    assert len(stage.cloud.sent) == 4


async def test_a_new_token_ends_the_hold(stage):
    stage.cloud.answers["one"].append(refusal(Action.STOP_TOKEN))
    stage.cloud.probes.extend([refusal(Action.STOP_TOKEN)] * 100)
    await stage.deliver()
    await stage.ask("one")
    await stage.until(lambda: stage.clock.waits() == [30, 30])  # the probe and the delivery on hold
    stage.channels.add(token="fresh")
    stage.clock.advance(30)
    await stage.until(lambda: stage.cloud.accepted)
    assert stage.cloud.tokens == ["T", "fresh"]


async def test_a_blocked_number_holds_only_itself(stage):
    stage.channels.add("200")
    stage.cloud.answers["one"].append(refusal(Action.STOP_NUMBER))
    await stage.deliver()
    await stage.ask("one", "wa-1", number="200")
    await stage.until(lambda: stage.clock.alarms)
    await stage.ask("held", "wa-2", number="200")
    await stage.ask("free", "wa-3")
    await stage.until(lambda: stage.cloud.accepted == ["free"])
    assert await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 3, step=10) == 600


async def test_a_hold_survives_a_restart(stage):
    stage.cloud.answers["one"].append(refusal(Action.STOP_TOKEN))
    worker = await stage.deliver()
    for text in ("one", "two", "three"):
        await stage.ask(text)
    await stage.until(lambda: stage.clock.alarms)
    await worker.stop()
    await stage.deliver()
    await stage.until(lambda: len(stage.cloud.accepted) == 3)
    assert stage.cloud.accepted == ["one", "two", "three"]
    assert len(stage.cloud.sent) == 4


async def test_a_long_hold_leaves_room_for_other_numbers_and_keeps_the_order(stage):
    """More messages are on hold than a worker may have in hand; they go round the queue until the token works."""
    stage.channels.add("200", token="broken")
    stage.cloud.broken.add("broken")
    for turn in range(3):
        for call in range(10):
            await stage.ask(f"{call}.{turn}", f"wa-held-{call}", number="200")
    await stage.deliver(prefetch=4)
    await stage.until(lambda: stage.cloud.sent)
    for call in range(6):
        await stage.ask(f"free {call}", f"wa-free-{call}")
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 6, most=100_000)
    assert all(text.startswith("free") for text in stage.cloud.accepted)
    for turn in range(3, 5):
        await stage.ask(f"0.{turn}", "wa-held-0", number="200")
    stage.cloud.broken.clear()
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 38)
    await stage.drained()
    for call in range(10):
        texts = [text for text in stage.cloud.accepted if text.startswith(f"{call}.")]
        assert texts == sorted(texts)
        assert len(texts) == (5 if call == 0 else 3)


async def test_a_conversation_that_floods_leaves_room_for_others(stage):
    stage.channels.add("200", pair_burst=1, pair_interval=6)
    for n in range(12):
        await stage.ask(f"flood {n:02}", "wa-1", number="200")
    await stage.deliver(prefetch=4, partitions=None)
    await stage.until(lambda: stage.cloud.accepted)
    same_queue = next(f"wa-{n}" for n in range(2, 50) if _partition(f"wa-{n}") == _partition("wa-1"))
    await stage.ask("other", same_queue)
    await stage.clock.pass_until(lambda: "other" in stage.cloud.accepted, most=30)
    await stage.clock.pass_until(lambda: len(stage.cloud.accepted) == 13)
    flood = [text for text in stage.cloud.accepted if text != "other"]
    assert flood == sorted(flood)


def _partition(call):
    return partition_of(f"home-{call}", 2)


# --- the service window -----------------------------------------------------------------------------------------------


async def test_a_second_before_the_window_closes_it_is_sent(stage):
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() + 1)
    await stage.deliver()
    await stage.becomes(delivery, "sent")


async def test_when_the_window_closes_nothing_free_is_sent(stage):
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() + DAY - 90)
    stage.clock.advance(DAY - 90)
    await stage.deliver()
    record = await stage.becomes(delivery, "failed")
    assert record.error.code == "window_closed"
    assert stage.cloud.sent == []


async def test_a_window_that_the_person_opened_again_counts(stage):
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() - 1, publish=False)
    call = stage.document(delivery, last_seq=1, last_user_at=stage.clock.now() - DAY + 91)
    await stage.store.save_call(call)
    await stage.publish(delivery)
    await stage.deliver()
    await stage.becomes(delivery, "sent")


@pytest.mark.parametrize(("ago", "state"), [(DAY - 91, "sent"), (DAY - 90, "failed")])
async def test_a_window_that_was_opened_again_has_the_same_margin(stage, ago, state):
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() - 1, publish=False)
    await stage.store.save_call(stage.document(delivery, last_seq=1, last_user_at=stage.clock.now() - ago))
    await stage.publish(delivery)
    await stage.deliver()
    await stage.becomes(delivery, state)


async def test_the_configured_template_goes_out_instead(stage):
    stage.cloud.template = "we_are_back"
    stage.clock.advance(2 * DAY)
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() - 5)
    await stage.deliver()
    await stage.becomes(delivery, "sent")
    assert stage.cloud.accepted == ["we_are_back"]


async def test_the_provider_is_the_judge_of_the_window(stage):
    stage.cloud.template = "we_are_back"
    stage.cloud.answers["one"].append(refusal(Action.WINDOW_CLOSED, "window_closed"))
    await stage.deliver()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "sent")
    assert [text for text, _ in stage.cloud.sent] == ["one", "we_are_back"]


async def test_templates_need_no_window(stage):
    stage.clock.advance(2 * DAY)
    message = Message(parts=(Template(name="hello_again", language="en"),))
    delivery = await stage.ask(message, window_closes_at=stage.clock.now() - 5)
    await stage.deliver()
    await stage.becomes(delivery, "sent")


async def test_a_window_that_closes_during_a_hold_ends_the_delivery(stage):
    stage.cloud.answers["one"].append(refusal(Action.STOP_TOKEN))
    stage.cloud.probes.extend([refusal(Action.STOP_TOKEN)])
    await stage.deliver()
    delivery = await stage.ask("one", window_closes_at=stage.clock.now() + 45)
    await stage.store.save_call(stage.document(delivery, last_seq=1, last_user_at=stage.clock.now() - DAY + 105))
    await stage.clock.pass_until(lambda: len(stage.cloud.probed) == 2)
    record = await stage.becomes(delivery, "failed")
    assert record.error.code == "window_closed"


# --- drain, poison, courtesies ----------------------------------------------------------------------------------------


async def test_stop_finishes_what_is_at_the_provider_and_hands_back_the_rest(stage):
    gate = asyncio.Event()
    stage.cloud.answers["one"].append(gate)
    worker = await stage.deliver()
    first = await stage.ask("one")
    second = await stage.ask("two")
    await stage.until(lambda: stage.cloud.under_way == 1)
    stopping = asyncio.create_task(worker.stop(5.0))
    await asyncio.sleep(0)
    gate.set()
    await stopping
    assert (await stage.store.delivery(first.id)).state == DeliveryState.SENT
    assert (await stage.store.delivery(second.id)).state == DeliveryState.QUEUED
    assert stage.cloud.accepted == ["one"]
    await stage.deliver()
    await stage.becomes(second, "sent")
    assert stage.cloud.accepted == ["one", "two"]


async def test_stop_between_two_pieces_leaves_nothing_unclear(stage):
    gate = asyncio.Event()
    stage.cloud.answers["a"].append(gate)
    worker = await stage.deliver()
    delivery = await stage.ask("a|b")
    await stage.until(lambda: stage.cloud.under_way == 1)
    stopping = asyncio.create_task(worker.stop(5.0))
    await asyncio.sleep(0)
    gate.set()
    await stopping
    await stage.deliver()
    record = await stage.becomes(delivery, "sent")
    assert [text for text, _ in stage.cloud.sent] == ["a", "b"]
    assert record.unclear == 0


async def test_a_body_that_is_not_ours_is_a_dead_letter_and_the_next_is_sent(stage):
    await stage.bus.publish([Outgoing(queue="outbound.0", body=b'{"type":"surprise"}', id="odd")])
    await stage.deliver()
    delivery = await stage.ask("one")
    await stage.becomes(delivery, "sent")

    async def dead():
        return await stage.bus.dead_letters("outbound.0")

    [letter] = await stage.until(dead)
    assert letter.id == "odd"


async def test_a_defect_is_tried_again_in_place_and_then_a_dead_letter(stage):
    stage.cloud.answers["one"].extend([ZeroDivisionError("defect")] * 10)
    await stage.deliver(settle_wait=0)
    delivery = await stage.ask("one")
    await stage.ask("two")
    await stage.clock.pass_until(lambda: stage.cloud.accepted)
    assert [text for text, _ in stage.cloud.sent] == ["one"] * 5 + ["two"]

    async def dead():
        return await stage.bus.dead_letters()

    [letter] = await stage.until(dead)
    assert letter.id == delivery.id
    assert "defect" in letter.error


async def test_a_channel_that_is_gone_fails_with_the_mend(stage):
    delivery = await stage.ask("one", number="999")
    await stage.deliver()
    record = await stage.becomes(delivery, "failed")
    assert record.error.code == "no_channel"


async def test_the_same_message_twice_is_sent_once(stage):
    delivery = await stage.ask("one")
    await stage.publish(delivery)
    await stage.deliver()
    await stage.drained()
    assert len(stage.cloud.sent) == 1


async def test_a_delivery_is_not_sent_before_its_time(stage):
    delivery = await stage.ask("one", publish=False)
    await stage.publish(delivery, after=stage.clock.now() + 12)
    await stage.deliver()
    assert await stage.clock.pass_until(lambda: stage.cloud.accepted) == 12


async def test_the_message_that_was_answered_is_shown_as_read_once(stage):
    await stage.deliver()
    for text in ("one", "two"):
        delivery = await stage.ask(text, mark_read="wamid.in")
        await stage.becomes(delivery, "sent")
        await stage.until(lambda: stage.cloud.shown)
    await stage.drained()
    assert stage.cloud.shown == [("wamid.in", False)]


async def test_no_read_marks_where_they_are_switched_off(stage):
    stage.channels.add(read_receipts=False)
    await stage.deliver()
    delivery = await stage.ask("one", mark_read="wamid.in")
    await stage.becomes(delivery, "sent")
    await stage.drained()
    assert stage.cloud.shown == []


async def test_typing_is_shown_and_a_late_one_is_dropped(stage):
    await stage.type("wa-1", "wamid.late", seconds=5)
    stage.clock.advance(6)
    await stage.deliver()
    await stage.type("wa-2", "wamid.now")
    await stage.until(lambda: stage.cloud.shown)
    await stage.drained()
    assert stage.cloud.shown == [("wamid.now", True)]


async def test_a_delivery_claimed_with_more_pieces_than_it_has_now_is_settled(stage):
    delivery = await stage.ask("one", publish=False)
    now = stage.clock.now()
    await stage.store.change_deliveries(
        {delivery.id: lambda record: accept(claim(record, 2, now), 0, "wamid.old", now)}
    )
    await stage.publish(delivery)
    await stage.deliver(settle_wait=0)
    await stage.drained()
    assert (await stage.store.delivery(delivery.id)).state == DeliveryState.SENT
    assert stage.cloud.sent == []

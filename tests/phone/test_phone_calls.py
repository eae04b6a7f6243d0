"""Whole calls between the phone channel and the stand-in, both over real sockets in real time."""

from __future__ import annotations

import gc
import weakref

import pytest

from channels.audio import CarrierError, Order, Transfer
from channels.phone.addresses import media_url
from channels.phone.reception import Answer, Refuse
from channels.twilio.simulator import CallPlan, FaultRule, Person, SimulatedCall, Step, StreamFaults, WebhookPlan
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.tones import dtmf
from omni.audio.wav import read_wav, wav_of
from tests.phone.conftest import Exchange, OpenExchange
from tests.phone.line import ADA, DESK, NUMBER, TOKEN, Listener, channel_of, until

TONE = dtmf("5", 8000, 200.0)


async def talking(exchange: Exchange, **placed: object) -> tuple[SimulatedCall, Listener]:
    call = exchange.twilio.calls.place(ADA, **placed)  # type: ignore[arg-type]
    await until(lambda: exchange.board.ears)
    return call, exchange.board.ears[-1]


async def test_somebody_calls_speaks_presses_and_leaves(exchange: Exchange) -> None:
    script = (Step(wav=wav_of(TONE, 8000)), Step(press="4#"), Step(hang_up=True, at=0.4))
    call, ear = await talking(exchange, script=script)
    await exchange.twilio.calls.over(call)
    await exchange.twilio.webhooks.idle()
    assert exchange.desk.offered[0].from_ == ADA
    assert exchange.board.calls == [call.sid]
    assert ear.keys == ["4", "#"]
    assert ear.times == [20.0 * n for n in range(len(ear.frames))]
    assert b"".join(pcm for pcm, _ in ear.frames[:10]) == mulaw_to_pcm(pcm_to_mulaw(TONE))
    assert ear.ends == ["hangup"]
    assert call.statuses == ["ringing", "in-progress", "completed"]
    assert [told.status for told in exchange.desk.told] == ["ended"]


async def test_what_the_bot_plays_is_heard_in_time_and_its_marks_come_back(exchange: Exchange) -> None:
    call, ear = await talking(exchange)
    leg = exchange.board.legs[0]
    leg.play(TONE)
    leg.mark("said")
    leg.play(TONE)
    leg.mark("all")
    await until(lambda: ear.marks == ["said", "all"])
    heard = call.stream.heard
    assert heard.gaps() == []
    (first, _), (second, _) = heard.marks
    assert second - first == pytest.approx(0.2, abs=0.021)
    leg.hang_up()
    await exchange.twilio.calls.over(call)
    assert ear.ends == []
    assert call.status == "completed"
    pcm, rate = read_wav(heard.wav())
    assert rate == 8000
    assert heard.voiced_ms == 400
    assert len(pcm) == len(heard.played) * 2


async def test_a_clear_drops_what_was_not_played_yet(exchange: Exchange) -> None:
    script = (Step(press="1", after_speech=0.1),)
    call, ear = await talking(exchange, script=script)
    leg = exchange.board.legs[0]
    leg.play(TONE * 25)
    leg.mark("never")
    await until(lambda: ear.keys)
    leg.clear()
    leg.mark("after")
    await until(lambda: ear.marks)
    assert ear.marks == ["after"]
    heard = call.stream.heard
    assert heard.cleared > 0
    assert heard.voiced_ms < 5000
    leg.hang_up()
    await exchange.twilio.calls.over(call)


async def test_a_caller_answers_when_the_bot_has_finished(exchange: Exchange) -> None:
    script = (Step(wav=wav_of(TONE, 8000), after_silence=0.1), Step(hang_up=True, after_silence=0.1))
    call, ear = await talking(exchange, script=script)
    exchange.board.legs[0].play(TONE)
    await until(lambda: any(pcm.strip(b"\0") for pcm, _ in ear.frames))
    assert call.stream.heard.voiced_ms == 200
    exchange.board.legs[0].play(TONE)
    await exchange.twilio.calls.over(call)
    assert ear.ends == ["hangup"]


@pytest.mark.parametrize(
    "faults",
    [
        {"lost": 0.2},
        {"late": 0.2, "late_ms": 60},
        {"swapped": 0.3},
        {"doubled": 0.3},
        {"garbage": 0.3},
        {"jitter_ms": 30},
    ],
)
async def test_frames_that_lie_leave_a_call_in_order(exchange: Exchange, faults: dict[str, float]) -> None:
    call, ear = await talking(exchange, faults=StreamFaults.model_validate(faults))
    await until(lambda: len(ear.frames) >= 20)
    assert ear.times == sorted(set(ear.times))
    assert all(time % 20 == 0 for time in ear.times)
    exchange.board.legs[0].hang_up()
    await exchange.twilio.calls.over(call)


@pytest.mark.parametrize(
    ("faults", "script"),
    [({"cut_after_ms": 60}, ()), ({"without_stop": True}, (Step(hang_up=True, at=0.06),))],
)
async def test_a_stream_that_breaks_is_lost_once(
    exchange: Exchange, faults: dict[str, object], script: tuple[Step, ...]
) -> None:
    call, ear = await talking(exchange, faults=StreamFaults.model_validate(faults), script=script)
    await exchange.twilio.calls.over(call)
    await until(lambda: ear.ends)
    assert ear.ends == ["lost"]


@pytest.mark.parametrize("signature", ["wrong", "missing"])
async def test_a_stream_without_our_signature_gets_nowhere(exchange: Exchange, signature: str) -> None:
    call = exchange.twilio.calls.place(ADA, faults=StreamFaults.model_validate({"signature": signature}))
    await exchange.twilio.calls.over(call)
    assert call.error == 31920
    assert exchange.board.ears == []


async def test_a_call_that_is_refused_hears_a_busy_line(exchange: Exchange) -> None:
    exchange.desk.answers = [Refuse("busy")]
    call = await exchange.twilio.calls.over(exchange.twilio.calls.place(ADA))
    assert (call.status, call.verbs) == ("busy", ["Reject"])


async def test_webhooks_that_come_twice_are_one_call(open_exchange: OpenExchange) -> None:
    exchange = await open_exchange(webhooks=WebhookPlan(duplicates=1.0))
    call, _ = await talking(exchange)
    assert len(exchange.desk.offered) == 1
    assert [event["same"] for event in exchange.twilio.events() if event["type"] == "repeated"] == [True]
    exchange.board.legs[0].hang_up()
    await exchange.twilio.calls.over(call)


# calls that we place


def order_of(to: str = ADA, **more: object) -> Order:
    given: dict[str, object] = {"channel": channel_of(), "from_": NUMBER, "to": to, "token": "tok-1", **more}
    return Order(**given)  # type: ignore[arg-type]


async def test_a_call_that_we_place_rings_is_answered_and_ended(exchange: Exchange) -> None:
    sid = await exchange.carrier.dial(order_of(detects_machine=True, ring=12.0))
    await until(lambda: exchange.board.ears)
    call = exchange.twilio.calls.find(sid)
    assert call is not None
    assert (call.to, call.from_, call.asked[0]["Timeout"]) == (ADA, NUMBER, "12")
    await until(lambda: "human" in [told.status for told in exchange.desk.told])
    await exchange.carrier.hang_up(channel_of(), sid)
    await exchange.twilio.calls.over(call)
    await until(lambda: exchange.board.ears[0].ends)
    assert exchange.board.ears[0].ends == ["hangup"]
    await exchange.twilio.webhooks.idle()
    told = [told.status for told in exchange.desk.told if told.status != "human"]
    assert told == ["ringing", "answered", "ended"]
    assert {told.call for told in exchange.desk.told} == {sid}
    await exchange.carrier.hang_up(channel_of(), sid)  # it is over: that is fine


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        ({"outcome": "busy"}, "busy"),
        ({"outcome": "no-answer", "ring_ms": 20}, "no-answer"),
        ({"outcome": "failed", "error": 13227}, "failed"),
        ({"machine": "machine_start", "amd_ms": 10}, "machine"),
    ],
)
async def test_a_call_that_comes_to_nothing_says_so(exchange: Exchange, plan: dict[str, object], status: str) -> None:
    exchange.twilio.calls.people[ADA] = Person(plan=CallPlan.model_validate(plan))
    sid = await exchange.carrier.dial(order_of(detects_machine=True))
    await until(lambda: status in [told.status for told in exchange.desk.told])
    await exchange.carrier.hang_up(channel_of(), sid)
    call = exchange.twilio.calls.find(sid)
    assert call is not None
    await exchange.twilio.calls.over(call)


async def test_a_call_that_still_rings_can_be_ended(exchange: Exchange) -> None:
    exchange.twilio.calls.people[ADA] = Person(plan=CallPlan(ring_ms=60_000))
    sid = await exchange.carrier.dial(order_of())
    call = exchange.twilio.calls.find(sid)
    assert call is not None
    await until(lambda: call.status == "ringing")
    await exchange.carrier.hang_up(channel_of(), sid)
    await exchange.twilio.calls.over(call)
    assert call.status == "canceled"
    await until(lambda: "canceled" in [told.status for told in exchange.desk.told])


@pytest.mark.parametrize(
    ("to", "rule", "sentence", "outcome"),
    [
        ("+1", None, r"write a number as \+12025550142", "failed"),
        ("+19005550100", None, "allow it in Twilio's console", "failed"),
        (ADA, {"kind": "error", "code": 21216}, "may not call this number", "rejected"),
        (ADA, {"kind": "error", "code": 77777, "http": 400}, "77777", "failed"),
        (ADA, {"kind": "rate_limited"}, "too often", "failed"),
        (ADA, {"kind": "html_502"}, "502", "failed"),
        (ADA, {"kind": "reset"}, "broke the connection off", "failed"),
        (ADA, {"kind": "hang"}, "did not answer in time", "failed"),
        (ADA, {"kind": "garbage"}, "without a call id", "failed"),
    ],
)
async def test_what_twilio_refuses_is_a_sentence(
    exchange: Exchange, to: str, rule: dict[str, object] | None, sentence: str, outcome: str
) -> None:
    if rule is not None:
        exchange.twilio.faults.add(FaultRule.model_validate(rule))
    with pytest.raises(CarrierError, match=sentence) as refused:
        await exchange.carrier.dial(order_of(to))
    assert refused.value.outcome == outcome
    assert TOKEN not in str(refused.value)
    assert exchange.twilio.calls.all() == []


async def test_a_number_without_an_account_says_what_to_give(exchange: Exchange) -> None:
    other = channel_of(number="+12025550111", account_sid=None, auth_token=None)
    with pytest.raises(CarrierError, match="give its channel account_sid and auth_token"):
        await exchange.carrier.dial(order_of(channel=other))
    assert await exchange.carrier.press(channel_of(), "CA1", "12#") is False


# transfers


async def test_a_call_is_given_away_with_an_announcement(exchange: Exchange) -> None:
    call, ear = await talking(exchange)
    exchange.twilio.calls.people[DESK] = Person(plan=CallPlan(ring_ms=20, talk_ms=40))
    await exchange.carrier.transfer(channel_of(), call.sid, Transfer(DESK, ADA, announce="Ada, about her order."))
    await exchange.twilio.calls.over(call)
    assert ear.ends == ["hangup"]
    assert call.verbs == ["Connect", "Dial", "Hangup"]
    child = exchange.twilio.calls.all()[-1]
    assert (child.to, child.from_, child.said) == (DESK, ADA, ["Ada, about her order."])
    assert "forwarded" in [told.status for told in exchange.desk.told]


async def test_whoever_takes_a_call_is_told_of_as_they_answer(exchange: Exchange) -> None:
    call, ear = await talking(exchange)
    exchange.twilio.calls.people[DESK] = Person(plan=CallPlan(ring_ms=20, talk_ms=None))
    await exchange.carrier.transfer(channel_of(), call.sid, Transfer(DESK, ADA))
    told = await until(lambda: [one for one in exchange.desk.told if one.status == "forwarded"])
    assert [one.call for one in told] == [call.sid]
    assert not call.is_over
    assert ear.ends == ["hangup"]
    exchange.twilio.calls.hang_up(call)
    await exchange.twilio.calls.over(call)


async def test_a_caller_whom_nobody_took_comes_back_to_the_bot(exchange: Exchange) -> None:
    call, ear = await talking(exchange)
    exchange.twilio.calls.people[DESK] = Person(plan=CallPlan(outcome="no-answer", ring_ms=20))
    exchange.board.tokens.add("tok-1")
    await exchange.carrier.transfer(channel_of(), call.sid, Transfer(DESK, NUMBER))
    await until(lambda: len(exchange.board.ears) == 2)
    assert ear.ends == ["hangup"]
    assert exchange.board.calls == [call.sid, call.sid]
    assert [back.why for back in exchange.desk.back] == ["no-answer"]
    exchange.board.legs[1].play(TONE)
    await until(lambda: call.stream.heard.voiced_ms > 0)
    exchange.board.legs[1].hang_up()
    await exchange.twilio.calls.over(call)
    assert call.verbs == ["Connect", "Dial", "Connect"]


async def test_a_call_that_is_over_cannot_be_given_away(exchange: Exchange) -> None:
    call, _ = await talking(exchange, script=(Step(hang_up=True),))
    await exchange.twilio.calls.over(call)
    with pytest.raises(CarrierError, match="the call is over"):
        await exchange.carrier.transfer(channel_of(), call.sid, Transfer(DESK, NUMBER))


# many


async def test_many_calls_that_end_at_every_moment_leave_nothing(exchange: Exchange) -> None:
    """Whoever leaves when: each leg ends once, and no leg outlives its call."""
    calls = exchange.twilio.calls
    exchange.board.tokens = {f"tok-{n}" for n in range(60)}
    exchange.desk.answers = [Answer(f"tok-{n}", media_url(exchange.url)) for n in range(60)]
    placed = []
    for number in range(60):
        how = number % 4
        script = (Step(hang_up=True, at=number * 0.004),) if how == 0 else ()
        faults = StreamFaults(cut_after_ms=number * 4) if how == 1 else StreamFaults(without_stop=how == 2)
        placed.append(calls.place(ADA, script=script, faults=faults))
    for number, call in enumerate(placed):
        if number % 4 == 2:
            await until(lambda call=call: call.streams and call.stream.is_open)  # type: ignore[misc]
            calls.hang_up(call)
        elif number % 4 == 3:
            await exchange.carrier.hang_up(channel_of(), call.sid)
    for call in placed:
        await calls.over(call)
    ears, legs = exchange.board.ears, [weakref.ref(leg) for leg in exchange.board.legs]
    await until(lambda: all(ear.ends for ear in ears))
    assert {len(ear.ends) for ear in ears} == {1}
    exchange.board.legs.clear()
    await until(lambda: gc.collect() >= 0 and not any(leg() for leg in legs))

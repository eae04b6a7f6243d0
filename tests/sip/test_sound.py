"""RTP as a bad network brings it, and as we send it."""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sip import rtp
from channels.sip.keys import KeysOut, from_info
from channels.sip.latch import Latch
from channels.sip.rtp import Frames, InOrder, Packet
from channels.sip.ticker import Ticker
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.telephone_events import KeysIn
from tests.sip.board import frames, tone, until
from tests.sip.caller import Caller, calling
from tests.sip.conftest import OpenSip, Sip, trunk


def packet(number: int, *, payload: bytes = b"\xff" * 160, source: int = 7) -> Packet:
    return Packet(0, number & 0xFFFF, (number * 160) & 0xFFFFFFFF, source, payload)


def ordered(numbers: list[int]) -> tuple[list[int], InOrder]:
    told: list[int] = []
    order = InOrder(lambda each: told.append(each.number))
    for number in numbers:
        order.take(packet(number))
    return told, order


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 3, 2, 4], [1, 2, 3, 4]),
        ([1, 3, 4, 2, 5], [1, 2, 3, 4, 5]),
        ([1, 3, 4, 5, 2, 6], [1, 3, 4, 5, 6]),  # three are ahead of it: it counts as lost, and is late
        ([1, 1, 2, 2], [1, 2]),
        ([65534, 65535, 0, 1], [65534, 65535, 0, 1]),
        ([10, 9, 11], [10, 11]),
        ([1, 2, 30_000, 30_001, 30_002], [1, 2, 30_001, 30_002]),  # another stream, believed at its second packet
        ([1, 2, 30_000, 3, 4], [1, 2, 3, 4]),  # one stray packet
    ],
)
def test_packets_come_in_order_and_once(came: list[int], told: list[int]) -> None:
    assert ordered(came)[0] == told


@given(st.lists(st.integers(0, 65535), max_size=60))
def test_whatever_numbers_come_each_is_told_once_and_nothing_breaks(numbers: list[int]) -> None:
    told, order = ordered(numbers)
    assert len(told) <= len(numbers)
    assert len(order._waiting) <= rtp.MOST_WAITING
    order.release()
    assert not order._waiting


@given(st.integers(1, 400), st.floats(0, 0.3), st.randoms(use_true_random=False))
def test_what_was_lost_and_what_was_heard_is_all_there_was(count: int, loss: float, lot: random.Random) -> None:
    kept = [number for number in range(count) if number == 0 or lot.random() > loss]
    told, order = ordered(kept)
    order.release()
    assert len(told) + order.lost == kept[-1] + 1
    assert order.highest == kept[-1]


def test_a_network_that_shuffles_wildly_is_waited_for_as_long_as_it_does() -> None:
    """Delays up to 200 ms, each packet on its own: what counts as lost at first becomes little."""
    lot = random.Random(3)
    arrivals = sorted(range(3_000), key=lambda number: number * 20 + lot.random() * 200)
    told, order = ordered(arrivals)
    assert told == sorted(told)
    assert len([number for number in told if number >= 200]) > 2_600
    for number in range(3_000, 6_000):
        order.take(packet(number))
    assert order._patience == rtp.WAITING


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    found = rtp.read(data)
    assert found is None or len(found.payload) <= len(data)


def test_padding_extensions_and_other_sources_are_no_sound() -> None:
    header = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0, 5, 160, 7)
    data = header + b"\0" * 8 + struct.pack("!HH", 0xBEDE, 1) + b"ext!" + b"sound" + b"\0\0\3"
    found = rtp.read(data)
    assert found is not None
    assert found.payload == b"sound"


def timed(pieces: list[tuple[int, bytes]]) -> list[tuple[float, bytes]]:
    heard: list[tuple[float, bytes]] = []
    made = Frames(lambda pcm, at: heard.append((at, pcm)))
    for stamp, pcm in pieces:
        made.take(pcm, stamp & 0xFFFFFFFF)
    return heard


def test_time_jumps_where_sound_was_lost() -> None:
    pcm = b"\1\0" * 160
    heard = timed([(1000, pcm), (1160, pcm), (1480, pcm), (1320, pcm), (1640, pcm)])
    assert [at for at, _ in heard] == [0.0, 20.0, 60.0, 80.0]


def test_stamps_run_over_without_a_jump() -> None:
    pcm = b"\1\0" * 160
    start = 0x100000000 - 160
    assert [at for at, _ in timed([(start, pcm), (start + 160, pcm), (start + 320, pcm)])] == [0.0, 20.0, 40.0]


@given(st.lists(st.sampled_from([80, 160, 240, 320, 480]), max_size=30))
def test_packets_of_any_length_become_frames_of_twenty_milliseconds(sizes: list[int]) -> None:
    pieces, stamp = [], 5
    for size in sizes:
        pieces.append((stamp, b"\1\0" * size))
        stamp += size
    heard = timed(pieces)
    assert [at for at, _ in heard] == [n * 20.0 for n in range(len(heard))]
    assert all(len(pcm) == 320 for _, pcm in heard)
    assert len(heard) == sum(sizes) // 160


# whose sound it is


def test_a_phone_behind_a_router_is_followed_and_then_kept() -> None:
    latch = Latch(("10.0.0.5", 4000), "198.51.100.7")
    assert not latch.takes(("203.0.113.66", 9), 0.0)
    assert latch.takes(("198.51.100.7", 61000), 0.1)
    assert latch.target == ("198.51.100.7", 61000)
    assert not latch.takes(("203.0.113.66", 9), 0.2)
    for tenth in range(2, 60):
        assert latch.takes(("198.51.100.7", 61000), tenth / 10)
    assert not latch.takes(("198.51.100.7", 61001), 6.0)
    assert latch.target == ("198.51.100.7", 61000)


def test_a_router_that_gives_another_port_is_followed_after_a_silence() -> None:
    latch = Latch(("198.51.100.7", 4000), "198.51.100.7")
    assert latch.takes(("198.51.100.7", 4000), 0.0)
    assert latch.takes(("198.51.100.7", 4000), 5.0)
    assert not latch.takes(("198.51.100.7", 4999), 7.0)
    assert latch.takes(("198.51.100.7", 4999), 8.5)
    assert latch.target == ("198.51.100.7", 4999)


def test_who_has_the_keys_may_come_from_anywhere() -> None:
    latch = Latch(("198.51.100.7", 4000), "198.51.100.7")
    assert latch.takes(("203.0.113.9", 1), 0.0, has_keys=True)


# time


class Clock:
    """A loop whose callbacks are late by what the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: tuple[float, Any] | None = None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any, /) -> Any:
        self.due = (when, callback)
        return self

    def cancel(self) -> None:
        self.due = None

    def run(self, late: float) -> None:
        assert self.due is not None
        when, callback = self.due
        self.now = max(self.now, when + late)
        callback()


class Counted:
    def __init__(self) -> None:
        self.calls = 0
        self.ticks = 0

    def tick(self, ticks: int) -> None:
        self.calls += 1
        self.ticks += ticks


@pytest.mark.parametrize("most_late", [0.0, 0.015, 0.09])
def test_sixty_seconds_of_sound_take_sixty_seconds_however_late_each_tick_is(most_late: float) -> None:
    clock, one, lot = Clock(), Counted(), random.Random(1)
    ticker = Ticker(clock)
    ticker.add(one)
    for _ in range(3_000):
        clock.run(lot.random() * most_late)
    assert one.ticks == one.calls == 3_000
    assert clock.due is not None
    assert clock.due[0] - 100.0 == pytest.approx(60.02)


def test_what_a_busy_process_missed_is_left_out_and_not_sent_in_a_burst() -> None:
    clock, one = Clock(), Counted()
    ticker = Ticker(clock)
    ticker.add(one)
    clock.run(0.0)
    clock.run(1.0)
    assert (one.calls, one.ticks) == (2, 52)
    clock.run(0.0)
    assert clock.now == pytest.approx(100 + 53 * 0.02)
    ticker.remove(one)
    assert clock.due is None


# keys


def test_keys_are_pressed_as_rfc_4733_says() -> None:
    keys = KeysOut()
    keys.press("1w#")
    plan = []
    while keys:
        plan.append(keys.next())
    first = [payload for payload, _ in plan[:11] if payload is not None]
    assert [is_new for _, is_new in plan[:11]] == [True] + [False] * 10
    durations = [struct.unpack("!BBH", each)[2] for each in first]
    assert durations == [160, 320, 480, 640, 800, 960, 1120, 1280, 1280, 1280, 1280]
    assert [each[1] >> 7 for each in first] == [0] * 8 + [1] * 3
    assert len([each for each, _ in plan if each is None]) == 4 + 25 + 4
    assert {each[0] for each, _ in plan if each is not None} == {1, 11}


def test_a_key_is_heard_once_whichever_of_its_packets_arrive() -> None:
    keys = KeysIn()
    five = [struct.pack("!BBH", 5, 10, n * 160) for n in range(1, 8)] + [struct.pack("!BBH", 5, 0x8A, 1280)] * 3
    assert [keys.take(each, 1000) for each in five] == ["5", *[None] * 9]
    assert keys.take(five[-1], 4000) == "5"
    assert keys.take(five[0], 1000) is None
    assert keys.take(b"\x63\0\0\0", 9000) is None


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", "Signal= *\r\n", "*"),
        ("application/dtmf-relay; x=y", "signal=11", "#"),
        ("application/dtmf", "7", "7"),
        ("application/dtmf", "77", None),
        ("text/plain", "7", None),
        ("application/dtmf-relay", "", None),
    ],
)
def test_keys_come_by_info_too(kind: str, body: str, digit: str | None) -> None:
    assert from_info(kind, body) == digit


# one call


async def talking(sip: Sip, caller: Caller) -> Any:
    assert (await caller.call()).status == 200
    await until(lambda: bool(sip.board.ears))
    return sip.board.only


async def test_what_is_said_is_heard_in_order_though_the_network_shuffles(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        said = [pcm_to_mulaw(each) for each in frames(tone(440, 1.0))]
        packets = [caller.packet(each) for each in said]
        for at in range(0, 48, 6):
            packets[at], packets[at + 1] = packets[at + 1], packets[at]
        for each in packets[2:]:
            caller.rtp.sendto(each, caller.their_rtp)
            caller.rtp.sendto(each, caller.their_rtp)
        await until(lambda: len(ear.heard_frames) == 48)
        assert ear.pcm == b"".join(mulaw_to_pcm(each) for each in said[2:])
        await caller.bye()
    await sip.at_rest()


async def test_a_loss_of_a_fifth_costs_a_fifth_and_no_more(open_sip: OpenSip) -> None:
    sip = await open_sip()
    lot = random.Random(4)
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        sent = 0
        for _ in range(200):
            data = caller.packet(b"\xff" * 160)
            if lot.random() > 0.2:
                caller.rtp.sendto(data, caller.their_rtp)
                sent += 1
        await until(lambda: len(ear.heard_frames) >= sent - rtp.WAITING)
        assert all(later > sooner for (sooner, _), (later, _) in itertools.pairwise(ear.heard_frames))
        assert ear.heard_frames[-1][0] >= 190 * 20
        await caller.bye()


async def test_sound_from_a_stranger_is_not_heard(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(allow=["127.0.0.1/32"]))
    async with calling(sip.port()) as caller, calling(sip.port(), ip="127.7.0.9") as stranger:
        ear = await talking(sip, caller)
        stranger.answer = caller.answer
        for _ in range(20):
            stranger.rtp.sendto(stranger.packet(b"\0" * 160, source=66), caller.their_rtp)
            stranger.rtp.sendto(b"\x80", caller.their_rtp)
        for _ in range(20):
            caller.rtp.sendto(caller.packet(b"\xff" * 160), caller.their_rtp)
        await until(lambda: len(ear.heard_frames) >= 20)
        assert {pcm for _, pcm in ear.heard_frames} == {mulaw_to_pcm(b"\xff" * 160)}
        stranger.listen()
        assert stranger.packets == []
        await caller.bye()


async def test_a_source_that_changes_goes_on_later_and_not_again(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        for _ in range(10):
            caller.rtp.sendto(caller.packet(b"\xff" * 160), caller.their_rtp)
        caller.number, caller.stamp = 40_000, 90_000_000
        for _ in range(10):
            caller.rtp.sendto(caller.packet(b"\xff" * 160, source=8), caller.their_rtp)
        await until(lambda: len(ear.heard_frames) >= 20)
        times = [at for at, _ in ear.heard_frames]
        assert times == sorted(times)
        assert times[10] >= times[9] + 20
        assert times[10] < times[9] + 60_000
        await caller.bye()


async def test_we_send_one_packet_every_twenty_milliseconds_and_silence_between(open_sip: OpenSip) -> None:
    sip = await open_sip()
    sound = [pcm_to_mulaw(each) for each in frames(tone(500, 0.4))]
    sip.board.plays = frames(tone(500, 0.4))
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        ear.leg.mark("said")
        await until(lambda: ear.marks == ["said"])

        def heard() -> int:
            caller.listen()
            return len(caller.packets)

        await until(lambda: heard() >= 40)
        headers = [struct.unpack("!BBHII", each[:12]) for each in caller.packets if each[1] & 0x7F == 0]
        first = headers[0]
        assert first[1] & 0x80, "the first packet is marked"
        assert [each[2] for each in headers] == [(first[2] + n) & 0xFFFF for n in range(len(headers))]
        gaps = {(b[3] - a[3]) & 0xFFFFFFFF for a, b in itertools.pairwise(headers)}
        assert all(gap % 160 == 0 for gap in gaps)
        payloads = [each[12:] for each in caller.packets]
        start = payloads.index(sound[0])
        assert payloads[start : start + 20] == sound
        assert payloads[start + 20] == b"\xff" * 160
        await caller.bye()


async def test_what_is_taken_back_is_not_sent_and_its_marks_do_not_come(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        for pcm in frames(tone(500, 5.0)):
            ear.leg.play(pcm)
        ear.leg.mark("never")
        await asyncio.sleep(0)
        ear.leg.clear()
        assert ear.leg.unsent >= 240
        ear.leg.play(frames(tone(800, 0.02))[0])
        ear.leg.mark("after")
        await until(lambda: ear.marks == ["after"])
        await caller.bye()
    assert "never" not in ear.marks


async def test_a_call_without_any_sound_ends(open_sip: OpenSip) -> None:
    sip = await open_sip(patience=0.5)
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        await until(lambda: ear.ends == ["lost"])
        while not (message := await caller.receive()).line.startswith("BYE"):
            pass
        caller.send(message.text.replace(message.line, "SIP/2.0 200 OK"))
    await sip.at_rest()


async def test_a_held_call_hears_nothing_and_is_sent_nothing(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        ear = await talking(sip, caller)
        caller.cseq += 1
        caller.send(caller.request("INVITE", body=caller.sdp() + "a=sendonly\r\n"))
        answer = await caller.final()
        assert "a=recvonly" in answer.body
        caller.send(caller.request("ACK"))
        await asyncio.sleep(0.1)
        caller.listen()
        count = len(caller.packets)
        for _ in range(10):
            caller.rtp.sendto(caller.packet(b"\0" * 160), caller.their_rtp)
        ear.leg.play(tone(500, 0.1))
        ear.leg.mark("said")
        await until(lambda: ear.marks == ["said"])
        caller.listen()
        assert ear.heard_frames == []
        assert len(caller.packets) == count
        caller.cseq += 1
        caller.send(caller.request("INVITE", body=caller.sdp()))
        assert "a=sendrecv" in (await caller.final()).body
        caller.send(caller.request("ACK"))
        for _ in range(10):
            caller.rtp.sendto(caller.packet(b"\xff" * 160), caller.their_rtp)
        await until(lambda: len(ear.heard_frames) == 10)
        await caller.bye()

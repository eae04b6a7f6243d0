"""The leg of a browser call: what is played goes out in order, and what is heard has its time, on any network."""

from __future__ import annotations

from channels.rtc.arrivals import Arrivals
from channels.rtc.codec import FRAME_BYTES, WIRE_SAMPLES, Decoder, Encoder
from channels.rtc.leg import RtcLeg
from tests.webrtc.speech import heard, spoken


class Ear:
    def __init__(self) -> None:
        self.frames: list[tuple[bytes, float]] = []
        self.marks: list[str] = []
        self.over: list[str] = []

    def heard(self, pcm: bytes, at: float) -> None:
        self.frames.append((pcm, at))

    def pressed(self, digit: str) -> None: ...

    def played(self, mark: str) -> None:
        self.marks.append(mark)

    def gone(self, reason: str) -> None:
        self.over.append(reason)


class Packet:
    def __init__(self, number: int, ssrc: int = 1, stamp: int | None = None) -> None:
        self.sequence_number = number & 0xFFFF
        self.timestamp = (number * WIRE_SAMPLES if stamp is None else stamp) & 0xFFFFFFFF
        self.ssrc = ssrc
        self.payload = str(number).encode()


def leg_of() -> tuple[RtcLeg, Ear, list[str]]:
    hung_up: list[str] = []
    leg, ear = RtcLeg(lambda: hung_up.append("now")), Ear()
    leg.begin(0.0)
    leg.listen(ear)
    return leg, ear, hung_up


def frame(number: int) -> bytes:
    return bytes([number]) * FRAME_BYTES


def test_frames_go_out_in_order_and_marks_behind_them() -> None:
    leg, ear, _ = leg_of()
    leg.play(frame(1) + frame(2)[:100])
    leg.play(frame(2)[100:])
    leg.mark("said")
    assert [leg.next(0.0), leg.next(0.0)] == [frame(1), frame(2)]
    assert ear.marks == []
    assert leg.next(0.0) is None
    assert ear.marks == ["said"]


def test_nothing_is_played_or_marked_after_a_clear() -> None:
    leg, ear, _ = leg_of()
    leg.play(frame(1) + frame(2)[:100])
    leg.mark("said")
    leg.clear()
    assert leg.next(0.0) is None
    assert ear.marks == []


def test_a_jump_in_time_is_a_gap_and_not_silence() -> None:
    leg, ear, _ = leg_of()
    leg.hear(frame(1), 0, 0.0)
    leg.hear(frame(2), WIRE_SAMPLES * 5, 0.1)
    assert ear.frames == [(frame(1), 0.0), (frame(2), 100.0)]


def test_a_microphone_that_stops_sending_is_heard_as_silence_and_goes_on_behind_it() -> None:
    leg, ear, _ = leg_of()
    leg.hear(frame(1), 0, 0.0)
    for tick in range(20):
        leg.next(tick * 0.02)
    silent = [pcm for pcm, _ in ear.frames[1:]]
    assert 1 <= len(silent) <= 5
    assert set(silent) == {bytes(FRAME_BYTES)}
    leg.hear(frame(2), WIRE_SAMPLES, 0.4)
    times = [at for _, at in ear.frames]
    assert times == [20.0 * n for n in range(len(times))]


def test_the_time_goes_on_while_the_network_is_changed() -> None:
    leg, ear, _ = leg_of()
    leg.hear(frame(1), 0, 0.0)
    leg.begin(3.0)
    leg.hear(frame(2), 0, 3.0)
    assert ear.frames[1] == (frame(2), 3000.0)


def test_gone_is_told_once_and_never_after_our_own_hanging_up() -> None:
    leg, ear, hung_up = leg_of()
    leg.end("lost")
    leg.end("hangup")
    leg.hang_up()
    assert (ear.over, hung_up) == (["lost"], [])
    other, its, ended = leg_of()
    other.hang_up()
    other.end("hangup")
    assert (its.over, ended) == ([], ["now"])


def arrived(*packets: Packet) -> list[tuple[str, int]]:
    taken: list[tuple[str, int]] = []
    arrivals = Arrivals(lambda payload, sample: taken.append((payload.decode(), sample // WIRE_SAMPLES)))
    for packet in packets:
        arrivals.add(packet)
    return taken


def test_packets_in_order_go_on_at_once() -> None:
    assert arrived(Packet(7), Packet(8)) == [("7", 0), ("8", 1)]


def test_packets_are_put_in_order_and_doubled_ones_left_out() -> None:
    assert arrived(*map(Packet, (1, 3, 2, 2, 4, 1))) == [("1", 0), ("2", 1), ("3", 2), ("4", 3)]


def test_a_lost_packet_holds_up_no_more_than_three() -> None:
    assert arrived(*map(Packet, (1, 3, 4, 5))) == [("1", 0)]
    assert arrived(*map(Packet, (1, 3, 4, 5, 6))) == [("1", 0), ("3", 2), ("4", 3), ("5", 4), ("6", 5)]


def test_numbers_and_stamps_wrap() -> None:
    packets = [Packet(n, stamp=(1 << 32) - WIRE_SAMPLES + (n - 65535) * WIRE_SAMPLES) for n in (65535, 65536, 65537)]
    assert [at for _, at in arrived(*packets)] == [0, 1, 2]


def test_another_stream_goes_on_where_the_one_before_it_was() -> None:
    assert arrived(Packet(1), Packet(2), Packet(9000, ssrc=2)) == [("1", 0), ("2", 1), ("9000", 2)]


def test_words_survive_the_codec() -> None:
    encoder, decoder = Encoder(), Decoder()
    pcm = spoken("hello thanks nine", 16_000)
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]
    back = b"".join(decoder.decode(encoder.encode(each)) for each in frames)
    assert heard(back, 16_000) == ["hello", "thanks", "nine"]
    assert abs(len(back) - len(pcm)) < FRAME_BYTES * 2


def test_silence_is_encoded_a_few_times_and_then_repeated() -> None:
    encoder = Encoder()
    packets = [encoder.encode(None) for _ in range(20)]
    assert len({id(packet) for packet in packets[8:]}) == 1

"""Where a voice begins and ends, told in time and with the right time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.model.sound import TurnDetection
from tests.audio.sounds import frames, noise, sine
from tests.voice.vad.stage import LOUD, QUIET, TURNS, Script, Stage, silences
from workers.voice.turns.words import Event, Silence, VoiceBegan, VoiceWent
from workers.voice.vad.endpoint import Endpointer
from workers.voice.vad.webrtc import WebRtcVad


def played(said: list[float], turns: TurnDetection = TURNS) -> list[Event]:
    """What is told when the detector says this, and the sound is as loud as it says."""
    return Stage(Script(*said), turns).hear(LOUD if each >= 0.35 else QUIET for each in said)


def test_a_voice_begins_where_it_was_first_heard() -> None:
    events = played([0, 0, 0.8, 0.9])
    assert events == [VoiceBegan(40, pytest.approx(0.85))]


def test_a_voice_begins_where_the_sound_got_loud_before_the_detector_was_sure() -> None:
    stage = Stage(Script(0, 0, 0, 0, 0.9, 0.9))
    assert stage.hear([QUIET, QUIET, LOUD, LOUD, LOUD, LOUD]) == [VoiceBegan(40, pytest.approx(0.9))]


def test_a_loud_room_does_not_put_the_beginning_further_back_than_the_detector_can_be_late() -> None:
    stage = Stage(Script(*[0.0] * 20, 0.9, 0.9))
    assert stage.hear([LOUD] * 22) == [VoiceBegan(400 - 120, pytest.approx(0.9))]


def test_a_click_is_no_voice() -> None:
    assert played([0, 0.9, 0, 0, 0.9, 0.1, 0, 0]) == []


def test_a_voice_that_goes_on_is_told_every_40_ms_with_its_length_and_level() -> None:
    events = played([0.9] * 10)
    went = [event for event in events if isinstance(event, VoiceWent)]
    assert [(event.at, event.ms) for event in went] == [(80, 80), (120, 120), (160, 160), (200, 200)]
    assert all(event.confidence == pytest.approx(0.9) for event in went)
    assert all(event.volume == pytest.approx(0.965, abs=0.01) for event in went)  # a sine of 0.3 is at -13.5 dB


def test_a_knock_before_a_soft_voice_does_not_set_its_level_for_long() -> None:
    soft = sine(400, 20, level=0.01)  # -43 dB, 30 below the knock
    stage = Stage(Script(*[0.9] * 200))
    events = stage.hear([LOUD, LOUD, *[soft] * 198])
    last = events[-1]
    assert isinstance(last, VoiceWent)
    assert last.volume < 0.5
    assert silences(events) == []


def test_silence_is_told_at_every_threshold_and_then_every_100_ms() -> None:
    events = played([0.9] * 5 + [0] * 40)
    assert silences(events)[:4] == [(200, 100), (300, 200), (400, 300), (500, 400)]
    assert silences(events)[-1] == (900, 800)


def test_silence_is_told_at_the_thresholds_of_the_agent() -> None:
    turns = TurnDetection(eager_ms=40, silence_ms=260, max_silence_ms=1_300)
    told = [ms for _, ms in silences(played([0.9] * 5 + [0] * 80, turns))]
    assert told == [40, 100, 200, 260, *range(300, 1601, 100)]
    told = [ms for _, ms in silences(played([0.9] * 5 + [0] * 14, turns.model_copy(update={"is_eager": False})))]
    assert told == [260]


def test_a_call_in_which_nobody_has_spoken_yet_tells_no_silence() -> None:
    assert played([0.0] * 500) == []


def test_a_silence_is_as_long_as_the_sound_says_and_not_as_the_detector() -> None:
    stage = Stage(Script(*[0.9] * 10, *[0.9] * 3, *[0.0] * 10))  # it takes 60 ms to see that they stopped
    events = stage.hear([LOUD] * 10 + [QUIET] * 13)
    assert silences(events) == [(300, 100), (400, 200)]


def test_a_detector_that_lags_for_long_is_believed_in_part() -> None:
    """What is soft may still be the voice."""
    stage = Stage(Script(*[0.9] * 30, *[0.0] * 10))
    events = stage.hear([LOUD] * 10 + [QUIET] * 30)
    assert silences(events)[0] == (620, 140)


def test_a_dip_between_two_words_is_no_pause() -> None:
    events = played([0.9] * 10 + [0.0] * 4 + [0.9] * 10)
    assert silences(events) == []
    assert sum(isinstance(event, VoiceBegan) for event in events) == 1
    last = events[-1]
    assert isinstance(last, VoiceWent)
    assert last.ms == last.at > 440


def test_a_doubtful_probability_changes_nothing() -> None:
    assert played([0.4] * 20) == []
    assert silences(played([0.9] * 5 + [0.4] * 20)) == []


def test_who_goes_on_after_a_pause_begins_again() -> None:
    events = played([0.9] * 5 + [0.0] * 8 + [0.9] * 5)
    assert [type(event).__name__ for event in events] == [
        *("VoiceBegan", "VoiceWent", "Silence", "VoiceBegan", "VoiceWent")
    ]
    again = events[-2]
    assert isinstance(again, VoiceBegan)
    assert again.at == 260
    last = events[-1]
    assert isinstance(last, VoiceWent)
    assert last.ms == 80


def test_every_pause_is_told_from_its_first_threshold_on() -> None:
    events = played(([0.9] * 10 + [0.0] * 15) * 2)
    assert [ms for _, ms in silences(events)] == [100, 200, 300, 100, 200, 300]


def test_a_voice_does_not_begin_before_the_end_of_the_last_one() -> None:
    stage = Stage(Script(*[0.9] * 5, *[0.0] * 5, *[0.9] * 5))
    events = stage.hear([LOUD] * 15)  # a loud room: the levels tell nothing
    (end,) = (at - ms for at, ms in silences(events))
    assert [event.at for event in events if isinstance(event, VoiceBegan)] == [0, end] == [0, 100]


def test_the_end_of_a_turn_is_not_told_to_somebody_who_just_went_on() -> None:
    events = played([0.9] * 5 + [0.0] * 9 + [0.9] * 5)  # 200 ms are reached with the first frame of the voice
    assert [ms for _, ms in silences(events)] == [100]


def test_is_voice_follows_what_was_told() -> None:
    stage = Stage(Script(*[0.9] * 5))
    stage.hear([LOUD] * 5)
    assert stage.endpointer.is_voice
    stage.hear([QUIET] * 5)
    assert not stage.endpointer.is_voice


def test_the_preroll_is_the_last_300_ms() -> None:
    stage = Stage(Script())
    sound = list(frames(noise(1000, db=-50)))
    stage.hear(sound)
    assert stage.endpointer.preroll() == sound[-15:]


def test_lost_sound_is_silence() -> None:
    stage = Stage(Script(*[0.9] * 5, *[0.0] * 10, *[0.9] * 5))
    stage.hear([LOUD] * 5)
    stage.at += 400
    events = stage.hear([LOUD] * 3)
    assert silences(events) == [(200, 100), (300, 200), (400, 300), (500, 400)]
    assert isinstance(events[-1], VoiceBegan)
    assert events[-1].at == 500


def test_a_lost_frame_is_no_pause() -> None:
    stage = Stage(Script(*[0.9] * 20))
    stage.hear([LOUD] * 5)
    stage.at += 20
    events = stage.hear([LOUD] * 5)
    assert all(isinstance(event, VoiceWent) for event in events)
    assert stage.endpointer.preroll() == [LOUD] * 5 + [QUIET] + [LOUD] * 5


def test_an_hour_without_a_frame_is_lived_through_in_no_time() -> None:
    stage = Stage(Script(*[0.9] * 5))
    stage.hear([LOUD] * 5)
    stage.at += 3_600_000
    events = stage.hear([QUIET])
    assert len(silences(events)) < 150
    assert events[-1] == Silence(stage.at, stage.at - 100)


def test_a_clock_that_is_a_little_off_loses_nothing() -> None:
    stage = Stage(Script(*[0.9] * 50))
    stage.at = 3.0
    events: list[Event] = []
    for _ in range(50):
        events += stage.endpointer.hear(LOUD, stage.at)
        stage.at += 20.4
    assert silences(events) == []
    assert len(stage.endpointer.preroll()) == 15


def test_a_clock_that_goes_back_begins_anew() -> None:
    stage = Stage(Script(*[0.9] * 10))
    stage.hear([LOUD] * 5)
    stage.at = 0
    assert stage.hear([LOUD] * 2) == [VoiceBegan(0, pytest.approx(0.9))]


def test_after_a_reset_nothing_is_left_of_the_voice() -> None:
    stage = Stage(Script(*[0.9] * 5))
    stage.hear([LOUD] * 5)
    stage.endpointer.reset()
    assert not stage.endpointer.is_voice
    assert stage.endpointer.preroll() == []
    stage.at += 60_000
    assert stage.hear([QUIET] * 50) == []


def test_a_frame_of_the_wrong_size_is_made_right() -> None:
    endpointer = Endpointer(WebRtcVad(8000), 8000, TURNS)
    assert endpointer.hear(b"\1\0\2", 0) == []
    assert endpointer.hear(bytes(1000), 20) == []
    assert [len(frame) for frame in endpointer.preroll()] == [320, 320]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.booleans(), st.integers(0, 30)), max_size=120)
)
def test_events_are_always_in_order(heard: list[tuple[float, bool, int]]) -> None:
    """Whatever is heard or lost: a voice begins, goes on, pauses; time and silence only grow."""
    stage = Stage(Script())
    speaks, at, ms = False, 0.0, 0.0
    for probability, is_loud, lost in heard:
        stage.endpointer._vad = Script(*[0.0] * min(lost, 10), probability)
        stage.at += lost * 20
        for event in stage.hear([LOUD if is_loud else QUIET]):
            match event:
                case VoiceBegan():
                    assert not speaks
                    speaks, ms = True, 0.0
                    assert event.at <= stage.at
                case VoiceWent():
                    assert speaks
                    assert event.ms > 0
                    assert 0 <= event.volume <= 1
                    assert 0.35 <= event.confidence <= 1
                case Silence():
                    assert event.ms > ms
                    assert event.at - event.ms >= 0
                    speaks, ms = False, event.ms
            if not isinstance(event, VoiceBegan):
                assert event.at >= at
                at = event.at
        assert stage.endpointer.is_voice == speaks

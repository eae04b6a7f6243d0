"""The stand-in itself: its control API, its people, its playout clock, and the command that makes one call."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner, Result

from channels.twilio.simulator import Person, Step
from channels.twilio.simulator.phone.heard import Heard
from channels.twilio.simulator.phone.people import Caller
from channels.twilio.simulator.phone.single import script_of
from channels.twilio.simulator.phone.sound import FRAME, SILENCE
from channels.twilio.simulator.phone.twiml import TwimlError, parse
from omni.audio.g711 import pcm_to_mulaw
from omni.audio.tones import dtmf
from omni.audio.wav import read_wav, wav_of
from omni.cli import main
from tests.phone.conftest import Exchange
from tests.phone.line import ACCOUNT, ADA, DESK, NUMBER, TOKEN, until

TONE = dtmf("5", 8000, 200.0)
SPEECH = pcm_to_mulaw(TONE)


def heard(heard: Heard, frames: int) -> None:
    for _ in range(frames):
        heard.play(len(heard.filled) * 0.02)


# playout


def test_marks_are_reached_when_what_was_before_them_has_been_played() -> None:
    far = Heard()
    far.arrive(SPEECH, 0.0)  # ten frames
    far.mark("one")
    far.arrive(SPEECH[:80], 0.0)
    far.mark("two")
    heard(far, 12)
    assert far.marks == [(0.18, "one"), (0.2, "two")]
    assert far.filled == [FRAME] * 10 + [80, 0]
    assert far.utterances == [(0.0, pytest.approx(0.22))]


def test_a_clear_gives_back_what_waited() -> None:
    far = Heard()
    far.arrive(SPEECH, 0.0)
    far.mark("never")
    heard(far, 3)
    assert far.clear(0.06) == ["never"]
    assert (far.cleared, far.waiting, far.marks) == (7 * FRAME, 0, [])


def test_a_hole_in_the_middle_of_speech_is_a_gap_and_a_pause_is_none() -> None:
    far = Heard()
    far.arrive(SPEECH, 0.0)
    heard(far, 12)
    far.arrive(SPEECH, 0.24)
    heard(far, 40)
    far.arrive(SPEECH, 1.04)
    heard(far, 10)
    assert far.gaps() == [40.0]
    assert [round(began, 2) for began, _ in far.utterances] == [0.0, 1.04]


# people


def test_a_script_waits_for_the_bot() -> None:
    far = Heard()
    wav = wav_of(TONE + bytes(3200), 8000)  # silence at the end of a file is none of the speech
    caller = Caller([Step(wav=wav, at=0.1), Step(press="7", after_speech=0.1), Step(hang_up=True, after_silence=0.2)])

    def tick(number: int = 1) -> list[str]:
        keys = []
        for _ in range(number):
            at = len(far.filled) * 20.0
            far.play(at / 1000)
            keys += [key for key in [caller.tick(at, far)[1]] if key]
        return keys

    assert tick(30) == []
    assert caller.spans == [(0.1, pytest.approx(0.3))]
    far.arrive(SPEECH, 0.6)
    assert tick(4) == []
    assert tick(2) == ["7"]
    tick(6)
    assert not caller.left
    far.arrive(SPEECH, 0.8)
    tick(30)
    assert caller.left


def test_sound_of_any_rate_is_spoken_at_the_telephones() -> None:
    caller = Caller([Step(wav=wav_of(dtmf("5", 44_100, 200.0), 44_100))])
    frames = [caller.tick(20.0 * n, Heard())[0] for n in range(12)]
    assert sum(frame != SILENCE for frame in frames) == 10
    with pytest.raises(ValueError, match="not a WAV file"):
        Caller([Step(wav=b"mp3")])


@pytest.mark.parametrize("wrong", [{}, {"press": "1", "hang_up": True}, {"press": "x"}, {"press": "1", "at": -1}])
def test_a_step_is_one_thing_at_one_time(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Step"):
        Step.model_validate(wrong)


@pytest.mark.parametrize("text", ["", "hello", "<Reply/>", "<Response><Say>"])
def test_what_is_not_twiml_is_named(text: str) -> None:
    with pytest.raises(TwimlError, match="12100"):
        parse(text)


# the control API


async def test_the_control_api_makes_people_call(exchange: Exchange) -> None:
    exchange.board.greeting = TONE
    wav = base64.b64encode(wav_of(TONE, 8000)).decode()
    async with aiohttp.ClientSession(f"{exchange.api_url}/") as http:
        for path, wrong in (
            ("calls", {"from": ADA, "script": [{"shout": 1}]}),
            ("calls", {"from": ADA, "script": [{"wav": "bm90IGEgd2F2"}]}),
            ("people", {"number": DESK, "plan": {"outcome": "of tomorrow"}}),
        ):
            async with http.post(f"control/{path}", json=wrong) as answer:
                assert answer.status == 400
        async with http.post("control/people", json={"number": DESK, "plan": {"outcome": "busy"}}) as answer:
            assert answer.status == 204
        async with http.post("control/calls", json={"from": ADA, "script": [{"wav": wav}]}) as answer:
            assert answer.status == 201
            sid = (await answer.json())["sid"]
        call = exchange.twilio.calls.find(sid)
        assert call is not None
        await until(lambda: call.streams and call.stream.heard.voiced_ms == 200)
        async with http.post(f"control/calls/{sid}/acts", json={"press": "9"}) as answer:
            assert answer.status == 201
        await until(lambda: exchange.board.ears[0].keys == ["9"])
        async with http.post(f"control/calls/{sid}/acts", json={"hang_up": True}) as answer:
            assert answer.status == 201
        await exchange.twilio.calls.over(call)
        async with http.get(f"control/calls/{sid}/heard.wav?both") as answer:
            pcm, rate = read_wav(await answer.read())
            assert (rate, len(pcm) > 0) == (8000, True)
        async with http.get("control/calls") as answer:
            (shown,) = await answer.json()
            assert (shown["from"], shown["status"], shown["voiced_ms"]) == (ADA, "completed", 200)
        async with http.get("control/calls/CA1") as answer:
            assert answer.status == 404
    assert exchange.twilio.calls.people[DESK].plan.outcome == "busy"


async def test_rest_needs_the_accounts_credentials(exchange: Exchange) -> None:
    url = f"{exchange.api_url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    async with aiohttp.ClientSession() as http, http.post(url, data={"To": ADA, "From": NUMBER}) as answer:
        assert answer.status == 401
    assert exchange.twilio.calls.all() == []


async def test_closing_the_stand_in_ends_its_calls(exchange: Exchange) -> None:
    call = exchange.twilio.calls.place(ADA, person=Person())
    await until(lambda: exchange.board.ears)
    await exchange.twilio.calls.close()
    await until(lambda: exchange.board.ears[0].ends)
    assert call.stream.is_open is False


# the command


async def command(exchange: Exchange, *arguments: str) -> Result:
    given = ["simulate", "phone", "--to", f"{exchange.url}/twilio/voice", "--port", "0", "--number", NUMBER]
    known = ["--account-sid", ACCOUNT, "--auth-token", TOKEN]
    return await asyncio.to_thread(CliRunner().invoke, main, [*given, *known, *arguments])


async def test_one_call_by_command(exchange: Exchange, tmp_path: Path) -> None:
    exchange.board.greeting = TONE
    said, saved = tmp_path / "said.wav", tmp_path / "heard.wav"
    said.write_bytes(wav_of(TONE, 8000))
    result = await command(
        exchange, "--wav", str(said), "--begin", "0", "--pause", "0.1", "--save", str(saved), "--seconds", "2"
    )
    assert result.exit_code == 0, result.output
    assert "The bot spoke 1 times, 0.2 s in all" in result.output
    pcm, _ = read_wav(saved.read_bytes())
    assert len(pcm) >= len(TONE)
    assert any(frame.strip(b"\0") for frame, _ in exchange.board.ears[0].frames)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--auth-token", "wrong"), "is this its account's token?"),
        (("--seconds", "1"), "nothing was heard"),
        (("--number", "5550142"), "write it as +12025550142"),
    ],
)
async def test_the_command_says_what_went_wrong(exchange: Exchange, more: tuple[str, ...], sentence: str) -> None:
    result = await command(exchange, *more)
    assert result.exit_code != 0
    assert sentence in result.output


def test_a_script_for_the_command_barges_in_or_takes_turns() -> None:
    turns = script_of([b"a", b"b"], begin=1.0, pause=0.5, press="1")
    assert [(step.at, step.after_silence, step.after_speech) for step in turns] == [
        (1.0, None, None),
        (None, 0.5, None),
        (None, 0.5, None),
        (None, 0.5, None),
    ]
    assert script_of([b"a", b"b"], begin=1.0, pause=0.5, barge_in=0.3)[1].after_speech == 0.3


def test_what_is_said_into_a_sentence_is_no_answer_to_it() -> None:
    far = Heard()
    caller = Caller([Step(wav=wav_of(TONE, 8000), after_speech=0.1), Step(hang_up=True, after_silence=0.1)])
    far.arrive(SPEECH, 0.0)
    for number in range(60):
        far.play(number * 0.02)
        caller.tick(number * 20.0, far)
    assert caller.spans
    assert not caller.left

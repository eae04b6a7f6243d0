"""Lines, callers and models that misbehave: the call goes on, or ends with a reason, and the next one is as good."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.twilio.simulator import Person, Step, StreamFaults
from channels.twilio.simulator.phone.people import Caller
from channels.twilio.simulator.phone.stream import Stream, StreamOrder
from channels.twilio.simulator.signing import headers
from omni.app.speech import Speech
from omni.audio.tones import hold_music
from omni.model.inbound import Forward, Hold
from tests.server.shop import until
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import GREETING, PATIENCE, TOKEN, Office, agent_of, error_rate, quiet, says, wav
from tests.voice.speech.test_crash import children
from tests.voice.speech.test_interrupting import LONG
from tests.voice.stt.speech import RATE, said
from workers.voice.stt.choose import Recognisers
from workers.voice.stt.whisper import Whisper
from workers.voice.tts.choose import Speakers
from workers.voice.tts.piper import PiperSpeaker, find_voices

SENTENCE = "Please call me back on Thursday morning."


async def understood(office: Office, call: Any, sentence: str = SENTENCE) -> None:
    """Somebody says something in a call that goes on, and is answered."""
    before = len(await office.facts(call, "user.message"))
    call.caller.say(wav(said(sentence)))
    turn = (await office.logged(call, "user.message", before + 1))[-1]
    assert error_rate([(sentence, turn.text)]) <= 0.2
    finished = len(await office.facts(call, "bot.finished"))
    await until(lambda: call.stream.heard.quiet_ms == 0, PATIENCE)
    await office.logged(call, "bot.finished", finished or 1)
    await quiet(call)


async def test_a_bad_line_is_understood_all_the_same(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    faults = StreamFaults(lost=0.01, late=0.02, swapped=0.02, doubled=0.02, garbage=0.05, jitter_ms=60)
    script = (says(SENTENCE, after_silence=0.8), Step(hang_up=True, after_silence=1))
    call = office.calls(script, faults=faults)
    assert (await office.over(call)).reason == "hangup"
    (turn,) = await office.facts(call, "user.message")
    assert error_rate([(SENTENCE, turn.text)]) <= 0.3


async def test_a_socket_needs_a_signature_and_a_token_that_nobody_has_used(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    unsigned = [office.calls(faults=StreamFaults(signature=how)) for how in ("wrong", "missing")]  # type: ignore[arg-type]
    for call in unsigned:
        await office.twilio.calls.over(call, timeout=PATIENCE)
        assert call.error == 31920

    first, second = office.calls(), office.calls(from_="+12025550172")
    for call in (first, second):
        await quiet(call)
    order = first.stream.order
    orders = [
        order,  # as it was, once more
        StreamOrder(order.url, {"token": "tok-of-nobody"}, order.account, order.call, order.stream),
        StreamOrder(order.url, second.stream.order.parameters, order.account, order.call, order.stream),
        StreamOrder(order.url, {}, "AC" + "0" * 32, order.call, order.stream),
    ]
    async with aiohttp.ClientSession() as http:
        for each in orders:
            thief = Stream(each, Caller(), StreamFaults(), random.Random(1), lambda kind, facts: None)
            async with asyncio.timeout(PATIENCE):
                assert await thief.run(http, headers(each.url, (), auth_token=TOKEN, signing_key="")) == "closed"
            assert thief.heard.first_sound is None
    await understood(office, first)
    for call in (first, second):
        call.caller.hang_up()
        assert (await office.over(call)).reason == "hangup"


async def test_music_that_never_stops_ends_no_call(open_office: OpenOffice) -> None:
    """Whoever puts us on hold: it may be taken for a turn, and for an interruption, but the call outlives it."""
    turns = {"max_turn_ms": 4_000}
    office = await open_office(agent_of(greeting=LONG, audio={"turn_detection": turns}))
    call = office.calls()
    await until(lambda: call.streams and call.stream.heard.voiced_ms > 500, PATIENCE)
    tune = hold_music(RATE)
    call.caller.say_pcm((tune * (20 * RATE * 2 // len(tune) + 1))[: 20 * RATE * 2])
    await until(lambda: not call.caller.is_speaking, PATIENCE)
    await quiet(call)
    print([fact.text for fact in await office.facts(call, "user.message")])
    await understood(office, call)
    call.caller.hang_up()
    assert (await office.over(call)).reason == "hangup"


async def test_a_caller_may_leave_at_any_moment(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    sentence, leaves = says(SENTENCE, after_silence=0.5), Step(hang_up=True)
    seconds = len(said(SENTENCE)) / 2 / RATE
    moments: dict[str, tuple[Step, ...]] = {
        "at once": (Step(hang_up=True, at=0),),
        "into the greeting": (Step(hang_up=True, after_speech=0.3),),
        "behind their last word": (says(SENTENCE, at=0.1), Step(hang_up=True, at=0.1 + seconds)),
        "while they are thought about": (sentence, leaves),
        "into the answer": (sentence, Step(hang_up=True, after_speech=0.5)),
    }
    for moment, script in moments.items():
        call = office.calls(script)
        assert (await office.over(call)).reason == "hangup", moment
        facts = [fact.type for fact in await office.facts(call)]
        assert facts[-3:] == ["call.recording", "call.ended", "call.summary"], moment
    for command in (Hold, Forward):
        call = office.calls()
        await quiet(call)
        more: dict[str, Any] = {"on": True} if command is Hold else {"to": "+12025550188"}
        office.twilio.calls.stranger = Person(
            plan=office.twilio.calls.stranger.plan.model_copy(update={"ring_ms": 9_000})
        )
        await office.commands.issue(command(**office.commands.head(await office.call(call)), **more))
        if command is Hold:
            await office.logged(call, "call.held")
        else:
            await until(lambda call=call: "Dial" in call.verbs, PATIENCE)  # type: ignore[misc]
        office.twilio.calls.hang_up(call)
        assert (await office.over(call)).reason == "hangup", command


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked at in /proc")
async def test_a_voice_that_is_killed_speaks_again(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=LONG))
    call = office.calls()
    await until(lambda: call.streams and call.stream.heard.voiced_ms > 500, PATIENCE)
    voices = [each for each in children(os.getpid()) if b"piper_process" in Path(f"/proc/{each}/cmdline").read_bytes()]
    assert len(voices) == 1
    os.kill(voices[0], signal.SIGKILL)
    await quiet(call)
    await understood(office, call)
    call.caller.hang_up()
    assert (await office.over(call)).reason == "hangup"


async def test_ears_that_fail_hear_again(open_office: OpenOffice) -> None:
    whisper, voices = Whisper(), find_voices(None)
    await whisper.open()
    recognisers = Recognisers()
    recognisers._made["local"] = whisper
    speakers = Speakers(local=PiperSpeaker(voices))
    await speakers.open()
    try:
        office = await open_office(agent_of(greeting=GREETING), speech=Speech(recognisers, speakers))
        call = office.calls()
        await quiet(call)
        decoder, broken = whisper.decoder, Broken()
        whisper.decoder = broken  # type: ignore[assignment]
        call.caller.say(wav(said(SENTENCE)))
        await broken.asked.wait()
        await until(lambda: not call.caller.is_speaking, PATIENCE)
        await quiet(call)
        assert await office.facts(call, "user.message") == []
        whisper.decoder = decoder
        await understood(office, call)
        call.caller.hang_up()
        assert (await office.over(call)).reason == "hangup"
        await office.server.stop()
    finally:
        await recognisers.close()
        await speakers.close()


class Broken:
    """A model whose memory has gone."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.asked = asyncio.Event()

    def hear(self, *_: Any) -> Any:
        self._loop.call_soon_threadsafe(self.asked.set)
        raise RuntimeError("out of memory")

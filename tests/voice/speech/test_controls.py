"""Keys, hold and mute, as they sound at the other end."""

from __future__ import annotations

from omni.audio.keys import DtmfDetector
from omni.model.inbound import Hold, Mute, PressKeys
from tests.server.shop import until
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import GREETING, PATIENCE, agent_of, error_rate, passes, played, quiet, wav
from tests.voice.stt.speech import RATE, frames, said


async def test_keys_are_heard_on_both_sides(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    call = office.calls()
    await quiet(call)
    call.caller.press("12#")
    received = await office.logged(call, "call.dtmf_received", 3)
    assert [fact.digit for fact in received] == ["1", "2", "#"]
    assert received[-1].digits == "12#"

    await office.commands.issue(PressKeys(**office.commands.head(await office.call(call)), digits="5w90*"))
    (sent,) = await office.logged(call, "call.dtmf_sent")
    assert sent.digits == "5w90*"
    await quiet(call)
    detector = DtmfDetector(RATE)
    found = [key for frame in frames(played(call)) if (key := detector.feed(frame))]
    assert found == ["5", "9", "0", "*"]

    call.caller.say(wav(said("Which department did I reach?")))
    (turn,) = await office.logged(call, "user.message")
    assert error_rate([("Which department did I reach?", turn.text)]) <= 0.2
    call.caller.hang_up()
    await office.over(call)


async def test_a_caller_on_hold_hears_music_and_is_not_listened_to(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    call = office.calls()
    await quiet(call)
    head = office.commands.head
    before = call.stream.heard.voiced_ms
    await office.commands.issue(Hold(**head(await office.call(call)), on=True))
    await office.logged(call, "call.held")
    await until(lambda: call.stream.heard.voiced_ms > before + 1_500, PATIENCE)

    call.caller.say(wav(said("Is anybody still there?")))
    await until(lambda: not call.caller.is_speaking, PATIENCE)
    await passes(call, 1.5)
    await office.commands.issue(Hold(**head(await office.call(call)), on=False))
    await office.logged(call, "call.unheld")
    await quiet(call)
    assert await office.facts(call, "user.message") == []

    call.caller.say(wav(said("Now I can hear you again.")))
    (turn,) = await office.logged(call, "user.message")
    assert error_rate([("Now I can hear you again.", turn.text)]) <= 0.2
    await office.logged(call, "bot.finished", 2)
    call.caller.hang_up()
    await office.over(call)


async def test_what_a_muted_caller_says_is_kept_and_becomes_no_turn(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    call = office.calls()
    await quiet(call)
    head = office.commands.head
    await office.commands.issue(Mute(**head(await office.call(call)), on=True))
    await office.logged(call, "call.muted")
    aside = "Honey, where did you put the insurance papers?"
    call.caller.say(wav(said(aside)))
    await until(lambda: not call.caller.is_speaking, PATIENCE)
    await office.commands.issue(Mute(**head(await office.call(call)), on=False))
    (unmuted,) = await office.logged(call, "call.unmuted")
    assert error_rate([(aside, unmuted.transcript or "")]) <= 0.25
    assert await office.facts(call, "user.message") == []

    call.caller.say(wav(said("I have found the papers.")))
    (turn,) = await office.logged(call, "user.message")
    assert error_rate([("I have found the papers.", turn.text)]) <= 0.2
    call.caller.hang_up()
    await office.over(call)

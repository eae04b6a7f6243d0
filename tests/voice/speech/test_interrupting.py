"""Who speaks into the bot's words stops it; a cough or a sign of attention does not."""

from __future__ import annotations

from channels.twilio.simulator import Step
from omni.audio.pcm import silence
from tests.brains.llm_server import LlmServer
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import agent_of, error_rate, noise, played, recognised, says, wav
from tests.voice.stt.speech import RATE, plain

LONG = (
    "Welcome to the museum. We are open from nine in the morning until six in the evening. Tickets cost twelve dollars "
    "for adults and five dollars for children. The garden behind the house is free for everybody. Our guided tour "
    "begins every hour in the main hall."
)
QUESTION = "Wait a moment, where can I leave my bicycle?"


async def test_a_caller_who_speaks_stops_the_bot_and_is_answered(open_office: OpenOffice, llm: LlmServer) -> None:
    agent = agent_of(brain="llm", prompt="You answer the telephone.", greeting=LONG, script=())
    office = await open_office(agent, llm_base_url=llm.base_url)
    call = office.calls([says(QUESTION, after_speech=4), Step(hang_up=True, after_silence=1)])
    assert (await office.over(call)).reason == "hangup"

    # What they said with a pause in it is one turn: its first part may have been answered, before anybody heard much.
    cut, *early = await office.facts(call, "bot.interrupted")
    turns = await office.facts(call, "user.message")
    said, (answer,) = turns[-1], await office.facts(call, "bot.finished")
    assert (cut.reason, cut.kept) == ("user_spoke", True)
    assert [(one.reason, one.kept) for one in early] == [("early", False)] * len(early)
    assert {one.turn for one in turns} == {1}
    assert [one.replaces for one in turns] == [None, *(one.id for one in turns[:-1])]
    assert error_rate([(QUESTION, said.text)]) <= 0.2
    assert answer.text == f"You said: {said.text}"

    # What is remembered is what was heard of it.
    assert plain(LONG)[: cut.at_word] == plain(cut.text)
    assert 0 < cut.at_word < len(plain(LONG))
    remembered = [one["content"] for one in llm.requests[-1]["messages"] if one["role"] == "assistant"]
    assert remembered == [cut.text]
    heard, (began, ended) = call.stream.heard, call.caller.spans[0]
    assert heard.clears, "what lay in the telephone network was taken back"
    stopped = max(end for start, end in heard.utterances if start < began)
    assert stopped < ended, "it is silent before they have finished"
    print(f"the bot was silent {(stopped - began) * 1000:.0f} ms after they began to speak")
    assert error_rate([(cut.text, " ".join(await recognised(played(call)[: int(stopped * RATE) * 2])))]) <= 0.25


async def test_a_cough_and_a_murmur_do_not_stop_the_bot(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=LONG))
    cough = b"".join((noise(0.15, -18), silence(80, RATE), noise(0.2, -20)))
    call = office.calls(
        [
            Step(wav=wav(cough), at=3),
            says("Yeah.", at=7),
            says("Thank you very much for the information.", after_silence=1),
            Step(hang_up=True, after_silence=1),
        ]
    )
    assert (await office.over(call)).reason == "hangup"
    greeting, _ = await office.facts(call, "bot.finished")
    assert greeting.text == LONG
    assert await office.facts(call, "bot.interrupted") == []
    (said,) = await office.facts(call, "user.message")
    assert "information" in said.text
    _, ours = await office.recorded(call)
    spoken = " ".join(fact.text for fact in await office.facts(call, "bot.finished"))
    assert error_rate([(spoken, " ".join(await recognised(ours)))]) <= 0.2

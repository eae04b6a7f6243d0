"""Ten sentences over the telephone: heard, repeated, and the repetition heard again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import ADA, Office, error_rate, murky, played, quiet, recognised, wav
from tests.voice.stt.speech import SENTENCES, said

MORE = (
    "I will be twenty minutes late because the train is not running.",
    "Can I pay with my phone when I pick up the cake?",
    "We are six adults and two small children.",
    "Is there a doctor who can see my son this afternoon?",
)
BOB = "+12025550172"


async def test_ten_sentences_are_heard_and_repeated(open_office: OpenOffice) -> None:
    office = await open_office()
    found = await asyncio.gather(
        talk(office, ADA, SENTENCES[1:], said),
        talk(office, BOB, MORE + SENTENCES[:1], lambda text: murky(text, noise_db=-50, speed=1.15)),
    )
    pairs = [pair for each in found for pair in each]
    assert len(pairs) == 10
    print("what the callers said")
    assert error_rate(pairs) <= 0.2


async def talk(
    office: Office, from_: str, sentences: Sequence[str], sound: Callable[[str], bytes]
) -> list[tuple[str, str]]:
    """One after the other, each when the last one was answered: every one is one turn, and what was answered can be
    understood by whoever listens. Returns what was said and heard."""
    sounds = [await asyncio.to_thread(sound, text) for text in sentences]
    call = office.calls(from_=from_)
    for number, pcm in enumerate(sounds, 1):
        call.caller.say(wav(pcm))
        await office.logged(call, "bot.finished", number)
        await quiet(call)
    call.caller.hang_up()
    assert (await office.over(call)).reason == "hangup"

    # Who pauses within a sentence may be answered, and goes on: then the turn's newest words are all of it.
    turns = {fact.turn: fact for fact in await office.facts(call, "user.message")}
    answers = await office.facts(call, "bot.finished")
    assert list(turns) == [1, 2, 3, 4, 5]
    assert [fact.text for fact in answers] == [f"You said: {fact.text}" for fact in turns.values()]
    spoken = " ".join(fact.text for fact in answers)
    _, ours = await office.recorded(call)
    print("the answers, from the recording and from the telephone")
    assert error_rate([(spoken, " ".join(await recognised(ours)))]) <= 0.2
    assert error_rate([(spoken, " ".join(await recognised(played(call))))]) <= 0.2
    return list(zip(sentences, [fact.text for fact in turns.values()], strict=True))

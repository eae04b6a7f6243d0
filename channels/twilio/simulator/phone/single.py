"""One call by command: somebody calls, says what is in some files, and tells what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from channels.twilio.simulator.phone.call import SimulatedCall
from channels.twilio.simulator.phone.people import Person, Step
from channels.twilio.simulator.server import running
from channels.twilio.simulator.settings import SimulatorSettings


def script_of(
    wavs: Sequence[bytes], *, begin: float, pause: float, barge_in: float | None = None, press: str | None = None
) -> tuple[Step, ...]:
    """The first file at `begin` seconds; each further one once the bot has been silent for `pause` seconds after
    speaking, or, with `barge_in`, once it has been speaking for so long. In the end the person leaves."""
    steps = [Step(wav=wav, at=begin) for wav in wavs[:1]]
    if barge_in is None:
        steps += [Step(wav=wav, after_silence=pause) for wav in wavs[1:]]
    else:
        steps += [Step(wav=wav, after_speech=barge_in) for wav in wavs[1:]]
    if press:
        steps.append(Step(press=press, at=begin) if not wavs else Step(press=press, after_silence=pause))
    return (*steps, Step(hang_up=True, after_silence=pause))


async def one_call(settings: SimulatorSettings, from_: str, person: Person, *, seconds: float) -> SimulatedCall:
    """The call, once it is over; the person leaves after `seconds` at the latest. Raises SimulatorSettingsError."""
    async with running(settings) as (simulator, _):
        call = simulator.calls.place(from_, person=person)
        try:
            await simulator.calls.over(call, timeout=seconds)
        except TimeoutError:
            simulator.calls.hang_up(call)
            await simulator.calls.over(call)
        await asyncio.sleep(0)
    return call


def responses(call: SimulatedCall) -> list[float]:
    """Seconds from the end of each thing that was said to the bot's next utterance, where there was one before the
    person spoke again."""
    if len(call.streams) != 1:
        return []
    starts = [began for began, _ in call.stream.heard.utterances]
    spans = call.caller.spans
    ends = [*(began for began, _ in spans[1:]), float("inf")]
    found = []
    for (_, said), until in zip(spans, ends, strict=True):
        after = next((began for began in starts if said <= began < until), None)
        if after is not None:
            found.append(after - said)
    return found


def verdict(call: SimulatedCall) -> tuple[bool, str]:
    """Whether the call went as a call should, and what happened, as a sentence."""
    if call.error == 11200:
        if not call.answered:
            return False, "The webhook did not answer: is the server there, and has it begun to listen?"
        return False, f"The webhook answered {call.answered} instead of TwiML: is this its account's token?"
    if call.error == 31920:
        return False, "The media socket was refused: is the address in the TwiML this server's own, and reachable?"
    if call.error is not None:
        return False, f"The call failed with Twilio's error {call.error}."
    if "Reject" in call.verbs:
        return False, f"The call was not taken: {'busy' if call.status == 'busy' else 'rejected'}."
    if not call.streams:
        return False, f"The call was answered without a stream; its TwiML was {', '.join(call.verbs) or 'empty'}."
    heard = call.stream.heard
    if heard.first_sound is None:
        return False, f"The call was answered, and nothing was heard for {len(heard.played) / 8000:.1f} s."
    who = "the caller hung up" if call.caller.left else "the bot hung up"
    times = ", ".join(f"{each:.2f}" for each in responses(call))
    answered = f" It answered after {times} s." if times else ""
    gaps = heard.gaps()
    broken = f" Its sound broke off {len(gaps)} times, for {max(gaps):.0f} ms at most." if gaps else ""
    return True, (
        f"The bot spoke {len(heard.utterances)} times, {heard.voiced_ms / 1000:.1f} s in all, first after "
        f"{heard.first_sound:.2f} s.{answered}{broken} In the end {who}, after {len(heard.played) / 8000:.1f} s."
    )

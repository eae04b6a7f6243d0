"""How a call begins: the voice and the ears that its agent has on its channel, and the first words of ours."""

from __future__ import annotations

import logging
from typing import Final

from omni.model.agent import Agent
from omni.model.call import WHATSAPP_CALL
from omni.model.sound import Sound, sound_of
from sessions.briefing import vars_of
from workers.voice.oncall import OnCall
from workers.voice.tts.base import TtsError

log = logging.getLogger("omni.voice")

TELEPHONE_RATE: Final = 8_000
WIDE_RATE: Final = 16_000


def sound_now(call: OnCall) -> Sound:
    """How the call is to sound, also before it is in its log."""
    found = call.conversation.look()
    if found is not None:
        now = found[1].agent
        return sound_of(now.audio, found[0].language or now.language)
    agent = _agent(call)
    if agent is None:
        return Sound()
    return sound_of(agent.audio, call.came.opening.language or agent.language)


async def prepare(call: OnCall) -> None:
    """Have the first words spoken before there is anybody to hear them."""
    agent = _agent(call)
    first = agent.greeting_in(call.came.opening.language) if agent is not None else None
    text = first if call.greets is None else call.greets
    media = sound_now(call).media
    rate = WIDE_RATE if call.place.transport in ("webrtc", WHATSAPP_CALL) else TELEPHONE_RATE
    phrases = [each for each in (text, media.filler, media.recording_notice) if each and "{" not in each]
    if phrases:
        try:
            await call.services.speakers.prepare(phrases, sound_now(call).voice, rate)
        except TtsError as error:
            log.warning("the first words of the call %s are not ready: %s", call.id, error)


def greeting(call: OnCall) -> str | None:
    """What is said first, in a call that is in its log: `greets`, or what the agent says."""
    state, around = call.look()
    text = call.greets
    if text is None:
        aloud = around.agent.audio.get("begin_message")  # a greeting that is never written, only spoken
        text = aloud if isinstance(aloud, str) else around.agent.greeting_in(state.language)
    if not text:
        return None
    return call.services.world.render(text, vars_of(state, around.agent, around.now))


def _agent(call: OnCall) -> Agent | None:
    """As this call will have it; None when there is none any more."""
    agent = call.services.world.agents.get(call.place.org, call.place.agent)
    if agent is None:
        return None
    return agent.with_(agent.overrides_on(call.place.channel)).with_(call.came.overrides)

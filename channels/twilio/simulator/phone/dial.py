"""The other leg of a `<Dial>`: rung, told something, put through."""

from __future__ import annotations

import asyncio

from channels.twilio.simulator.phone.call import Exchange, SimulatedCall
from channels.twilio.simulator.phone.twiml import Verb, parse


async def reach(calls: Exchange, child: SimulatedCall, noun: Verb, ring_seconds: float) -> str:
    """What becomes of it, as `DialCallStatus` says it. Whoever picks up first hears what the `url` of the noun says."""
    plan = child.person.plan
    child.callback = noun.attributes.get("statusCallback", "")
    child.events = frozenset(noun.attributes.get("statusCallbackEvent", "completed").split())
    calls.set_status(child, "ringing")
    try:
        await asyncio.sleep(min(plan.ring_ms / 1000, ring_seconds))
        if plan.outcome != "answer" or plan.ring_ms / 1000 > ring_seconds:
            word = "no-answer" if plan.outcome == "answer" else plan.outcome
            calls.set_status(child, word)
            return word
        calls.set_status(child, "in-progress")
        if url := noun.attributes.get("url"):
            _, text = await calls.webhooks.ask(url, list(child.form().items()))
            for verb in parse(text):
                child.verbs.append(verb.name)
                if verb.name == "Say":
                    child.said.append(verb.text)
        await asyncio.sleep(plan.talk_ms / 1000 if plan.talk_ms is not None else 86_400)
        calls.set_status(child, "completed")
        return "completed"
    finally:
        calls.set_status(child, "completed" if child.answered_at is not None else "canceled")

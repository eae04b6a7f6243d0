"""A call with sound is placed: a voice worker is asked, and whoever wants the call learns its id while it rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omni.bus.base import BusError, Outgoing
from omni.gateway.rest.errors import ApiError, away, contradiction
from omni.gateway.rest.kit import RestKit
from omni.live.told import Answered
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.callers import on_the_line, on_whatsapp
from omni.model.channel import (
    CallingChannel,
    SipChannel,
    WhatsAppChannel,
    calls_of,
    can_dial,
    shown_as,
    written_id,
)
from omni.model.contact import Sender
from omni.model.inbound import Ask, Dial, Opening, pack
from omni.model.queues import VOICE

PATIENCE: Final = 20.0
"""Seconds for a worker to take the call and for the carrier to have it: these clients wait for 30."""
START: Final = 12.0
"""A worker does not begin later than that: nobody would hear of the call."""
WORKERS: Final = "voice:"
"""Names of the leases of voice workers."""
NOBODY: Final = "no voice worker took the call in time; start one with omni serve --role voice, or add machines"


@dataclass(frozen=True, slots=True)
class Placed:
    """What is wanted. `to` is E.164, or a SIP address (but not on WhatsApp); `greeting` None is the agent's own, and
    empty is silence."""

    agent: Agent
    line: CallingChannel
    to: str
    by: str
    key: str
    greeting: str | None = None
    opening: Opening = Opening()
    overrides: Overrides | None = None


async def place(kit: RestKit, wanted: Placed) -> str:
    """The id of the call, which its carrier has, and which is in the store a moment later. Raises ApiError 409 for
    what the carrier or the worker refuses, and 503 when nobody takes it."""
    now, line = kit.clock(), wanted.line
    dial = Dial(
        key=wanted.key,
        org=wanted.agent.org,
        agent=wanted.agent.slug,
        channel=calls_of(line),
        at=now,
        person=_person(wanted),
        from_=shown_as(line),
        to=wanted.to,
        by=wanted.by,
        until=now + START,
        greeting=wanted.greeting,
        opening=wanted.opening,
        overrides=wanted.overrides,
    )

    async def send(ask: Ask) -> None:
        await kit.bus.publish([Outgoing(VOICE.name, pack((dial.model_copy(update={"ask": ask}),)), dial.key)])

    try:
        answered = await kit.hub.ask(send, timeout=PATIENCE)
    except TimeoutError:
        raise ApiError(503, "no_voice_worker", NOBODY, retry_after=5) from None
    except BusError:
        raise away() from None
    call = answered.data.get("call")
    if not isinstance(call, str):
        raise _refused(answered)
    return call


def _refused(answered: Answered) -> ApiError:
    why = answered.error or "the call was not placed"
    if answered.data.get("outcome") is None:  # nobody was free to begin it
        return ApiError(503, "no_voice_worker", why, retry_after=5)
    return ApiError(409, "not_placed", f"the call could not be placed: {why}", "phone_number")


async def has_voice(kit: RestKit) -> bool:
    """Whether a voice worker is alive anywhere. Raises StoreError."""
    return bool(await kit.store.leases(WORKERS, now=kit.clock()))


def line_of(agent: Agent, wanted: str | None, caller_id: str | None) -> CallingChannel:
    """The agent's number that a call goes out from: the one that is named, or the only one; WhatsApp only where it is
    named, or there is no telephone. Raises ApiError 422."""
    able = [one for one in agent.channels if can_dial(one)]
    own = [one for one in able if not isinstance(one, WhatsAppChannel)] if wanted is None else able
    named = None if wanted is None else written_id(wanted)
    fitting = [one for one in own or able if named in (None, one.id) and (caller_id is None or _is(one, caller_id))]
    if len(fitting) == 1:
        return fitting[0]
    if caller_id is not None and not fitting:
        raise contradiction("caller_id", f"the agent {agent.slug} cannot call from {caller_id}; connect it as a phone")
    if fitting:
        raise contradiction("caller_id", f"the agent {agent.slug} has several numbers; say which to call from")
    raise contradiction(
        "channel_id",
        f"the agent {agent.slug} has no number to call from; connect a phone, or a WhatsApp number with calls, or "
        "write, with the channel_id of a WhatsApp or SMS channel and a message",
    )


def _person(wanted: Placed) -> Sender:
    """Whoever is called on WhatsApp is who writes there."""
    if isinstance(wanted.line, WhatsAppChannel):
        return on_whatsapp(wanted.to, wanted.agent.org)
    return on_the_line(wanted.to, wanted.key)


def _is(channel: CallingChannel, caller_id: str) -> bool:
    return shown_as(channel) == caller_id and not isinstance(channel, SipChannel)

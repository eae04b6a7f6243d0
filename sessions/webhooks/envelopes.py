"""The body of an event's delivery, in both dialects.

AgentPhone's clients hear of customers' text messages and reactions, as `agent.message` and `agent.reaction`, and of the
end of spoken calls, as `agent.call_ended`. A spoken turn asks for its answer itself (`sessions.brains.webhook`); keys
that a caller presses are an `agent.message` without words, for whoever asked for `digits`.
"""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from omni.model.call import SOUND
from omni.model.entry import CallEnded, DigitReceived, UserReacted, UserSaid
from omni.model.webhook import DIGITS, Dialect, WebhookDelivery, WebhookEndpoint
from sessions.brains.webhook.envelope import channel_name, moment, packed
from sessions.webhooks.agentphone import body_of
from sessions.webhooks.events import Event
from sessions.webhooks.scene import Scene, ends_of, history_of, recording_of, transcript_of

AGENT_MESSAGE: Final = "agent.message"
AGENT_REACTION: Final = "agent.reaction"
CALL_ENDED: Final = "agent.call_ended"


def delivery_of(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> WebhookDelivery | None:
    """What an endpoint is to be told of an event; None when it is nothing to it."""
    if event.at < endpoint.created_at:
        return None
    name = name_of(event, endpoint.dialect, scene)
    if name is None or not endpoint.wants(name) or not _may_have_keys(event, endpoint):
        return None
    body = _omni(event, endpoint, scene) if endpoint.dialect == "omni" else body_of(name, event, endpoint, scene)
    call = scene.call
    return WebhookDelivery(
        id=event.delivery_id(endpoint.id),
        org=call.org,
        endpoint=endpoint.id,
        agent=call.agent,
        dialect=endpoint.dialect,
        call=call.id,
        lane=call.id,
        seq=event.seq,
        event=name,
        channel=channel_name(call.transport),
        message=event.message,
        body=packed(body).decode(),
        created_at=event.at,
        since=event.at,
    )


def _may_have_keys(event: Event, endpoint: WebhookEndpoint) -> bool:
    """An answer to every key would be a surprise to whoever answers messages: only those get them who asked."""
    return not isinstance(event.fact, DigitReceived) or endpoint.dialect == "omni" or DIGITS in endpoint.events


def _omni(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> dict[str, JsonValue]:
    call = scene.call
    about = dict(event.about)
    if event.message is not None:
        about = {"message_id": event.message, **about}
    if isinstance(event.fact, CallEnded) and call.transport in SOUND:
        about |= {"transcript": transcript_of(scene, "assistant"), "recording_url": recording_of(call)}
    return {
        "id": event.id,
        "type": event.type,
        "created": moment(event.at),
        "agent_id": call.agent,
        "channel": channel_name(call.transport),
        "data": {"call_id": call.id, **ends_of(scene, "omni"), **about},
        "conversation_state": scene.state,
        "recent_history": history_of(event, endpoint, scene),
    }


def name_of(event: Event, dialect: Dialect, scene: Scene) -> str | None:
    """What a dialect calls an event; None when it has no word for it."""
    if dialect == "omni":
        return event.type
    if scene.call.transport in SOUND:
        match event.fact:
            case CallEnded():
                return CALL_ENDED
            case DigitReceived():
                return AGENT_MESSAGE
            case _:
                return None
    match event.fact:
        case UserSaid():
            return AGENT_MESSAGE
        case UserReacted(emoji=emoji) if emoji is not None:
            return AGENT_REACTION
        case _:
            return None

"""The body of an event's delivery as AgentPhone's clients read it. Pure."""

from __future__ import annotations

from pydantic import JsonValue

from omni.model.entry import CallEnded, DigitReceived, UserReacted, UserSaid
from omni.model.message import Media, Message
from omni.model.webhook import WebhookEndpoint
from sessions.brains.webhook.envelope import channel_name, moment
from sessions.webhooks.endings import disconnection, status_word
from sessions.webhooks.events import Event, files_of
from sessions.webhooks.scene import Scene, ends_of, history_of, recording_of, transcript_of


def body_of(name: str, event: Event, endpoint: WebhookEndpoint, scene: Scene) -> dict[str, JsonValue]:
    messages: tuple[Message, ...] = ()
    about: dict[str, JsonValue] = {}
    match event.fact:
        case UserSaid() as said:
            messages, about = (said.message,), _message(said, event, scene)
        case UserReacted(target=target, emoji=emoji):
            about = _reaction(target, emoji or "", event, scene)
        case CallEnded(reason=reason, duration=duration):
            about = _call_ended(reason, duration, event, scene)
        case DigitReceived(digit=digit):
            about = _digits(digit, scene)
        case _:
            pass
    return {
        "event": name,
        "channel": channel_name(scene.call.transport, messages),
        "timestamp": moment(event.at),
        "agentId": scene.call.agent,
        "data": about,
        "conversationState": scene.state,
        "recentHistory": history_of(event, endpoint, scene),
    }


def _links(message: Message) -> list[JsonValue]:
    return [part.link for part in message.parts if isinstance(part, Media) and part.link is not None]


def _message(said: UserSaid, event: Event, scene: Scene) -> dict[str, JsonValue]:
    links = _links(said.message)
    group = scene.metadata.get("group")
    about: dict[str, JsonValue] = {
        "messageId": said.id,
        "callId": scene.call.id,
        **ends_of(scene, "agentphone"),
        "message": said.text,
        "mediaUrl": links[0] if links else None,
        "mediaUrls": links,
        "media": files_of(said.message),
        "direction": "inbound",
        "receivedAt": moment(event.at),
        "externalMessageId": said.provider_id,
    }
    return {**about, "group": {"isGroup": True, "groupId": group}} if group else about


def _reaction(target: str, emoji: str, event: Event, scene: Scene) -> dict[str, JsonValue]:
    said = scene.message(target)
    links = _links(said.message) if said is not None else []
    ends = ends_of(scene, "agentphone")
    return {
        "conversationId": ends["conversationId"],
        "numberId": ends["numberId"],
        "reactionType": emoji,
        "fromNumber": ends["from"],
        "direction": "inbound",
        "messageId": said.id if said is not None else target,
        "messageBody": said.text if said is not None else None,
        "messageMediaUrl": links[0] if links else None,
        "messageMediaUrls": links,
        "createdAt": moment(event.at),
    }


def _call_ended(reason: str, duration: float, event: Event, scene: Scene) -> dict[str, JsonValue]:
    """`from` is who dialled, in both directions."""
    call, ends = scene.call, ends_of(scene, "agentphone")
    theirs, ours = ends["from"], ends["to"]
    is_inbound = call.direction == "inbound"
    ended = call.model_copy(update={"is_open": False, "reason": reason})
    recording = recording_of(call)
    return {
        "callId": call.id,
        "conversationId": ends["conversationId"],
        "numberId": ends["numberId"],
        "from": theirs if is_inbound else ours,
        "to": ours if is_inbound else theirs,
        "contact": ends["contact"],
        "direction": call.direction,
        "status": status_word(ended),
        "startedAt": moment(call.started_at),
        "endedAt": moment(event.at),
        "durationSeconds": round(duration),
        "disconnectionReason": disconnection(reason),
        "transcript": transcript_of(scene, "agent"),
        "recordingUrl": f"/agentphone{recording}" if recording is not None else None,
        "recordingAvailable": recording is not None,
        "summary": None,
        "userSentiment": None,
        "callSuccessful": None,
    }


def _digits(digit: str, scene: Scene) -> dict[str, JsonValue]:
    return {
        "callId": scene.call.id,
        **ends_of(scene, "agentphone"),
        "status": "in-progress",
        "transcript": "",
        "digits": digit,
        "confidence": None,
        "direction": scene.call.direction,
    }

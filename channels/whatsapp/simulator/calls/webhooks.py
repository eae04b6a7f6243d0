"""The webhooks of a call, ``field: calls``."""

from __future__ import annotations

from channels.whatsapp.simulator.calls.call import SimulatedCall
from channels.whatsapp.simulator.errors import GraphError
from channels.whatsapp.simulator.ids import Json


def connect(call: SimulatedCall, business: str, sdp: str | None, at: float) -> Json:
    """The call, with the user's description of their sound."""
    event = _event(call, business, "connect", at)
    if sdp is not None:
        kind = "offer" if call.direction == "USER_INITIATED" else "answer"
        event["session"] = {"sdp_type": kind, "sdp": sdp}
    return {"calls": [event]}


def terminate(call: SimulatedCall, business: str, status: str, at: float, error: GraphError | None) -> Json:
    event = _event(call, business, "terminate", at) | {"status": status}
    if call.began_at is not None:
        event |= {
            "start_time": str(int(call.began_at)),
            "end_time": str(int(at)),
            "duration": max(1, round(at - call.began_at)),
        }
    value: Json = {"calls": [event]}
    if error is not None:
        value["errors"] = [error.report()]
    return value


def status(call: SimulatedCall, word: str, at: float) -> Json:
    item: Json = {"id": call.id, "type": "call", "status": word, "timestamp": str(int(at))}
    person = call.person
    item |= {"recipient_user_id": person.user_id} if person.phone_hidden else {"recipient_id": person.wa_id}
    return {"statuses": [item]}


def _event(call: SimulatedCall, business: str, event: str, at: float) -> Json:
    person = call.person
    user: Json = {"_user_id": person.user_id} if person.phone_hidden else {"": person.wa_id, "_user_id": person.user_id}
    ours, theirs = ("to", "from") if call.direction == "USER_INITIATED" else ("from", "to")
    item: Json = {"id": call.id, "event": event, "direction": call.direction, "timestamp": str(int(at)), ours: business}
    item |= {f"{theirs}{suffix}": value for suffix, value in user.items()}
    if call.tracker:
        item["biz_opaque_callback_data"] = call.tracker
    return item

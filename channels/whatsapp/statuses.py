"""What the platform says about a message of ours: sent, delivered, read, played, failed.

Source: the platform's status webhook reference. Statuses come in any order, repeatedly, and before the answer to the
send that made their id.
"""

from __future__ import annotations

from typing import Final

from channels.whatsapp.directory import Line
from channels.whatsapp.errors import delivery_error
from channels.whatsapp.people import phone_of, user_of
from channels.whatsapp.reading import Json, OddItemError, identifier, instant, label, mapping, string, word
from omni.model.delivery import DeliveryState, StatusUpdate

STATES: Final = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "played": DeliveryState.PLAYED,
    "failed": DeliveryState.FAILED,
}
MAX_TRACKER = 512


def status_of(line: Line, item: Json, now: float) -> StatusUpdate:
    """One status. A word we do not know is kept without effect; raises OddItemError without a message id or word."""
    provider_id = identifier(item.get("id")) if type(item.get("id")) is str else None
    said = item.get("status")
    if provider_id is None or type(said) is not str:
        raise OddItemError("a status without id or word")
    name = word(said)
    state = STATES.get(name)
    pricing = mapping(item.get("pricing"))
    recipient_key = None
    if item.get("recipient_type") == "group" or "recipient_participant_id" in item:
        user, wa_id = item.get("recipient_participant_user_id"), item.get("recipient_participant_id")
        recipient_key = user_of(user) or phone_of(wa_id) or "group"
    return StatusUpdate(
        channel=line.channel_id,
        org=line.org,
        provider_id=provider_id,
        tracker=string(item.get("biz_opaque_callback_data"), MAX_TRACKER),
        state=state,
        word=name,
        at=instant(item.get("timestamp"), now) or now,
        error=delivery_error(item.get("errors")) if state is DeliveryState.FAILED else None,
        billable=pricing.get("billable") is True,
        category=label(pricing.get("category"), 48) if pricing else None,
        recipient_key=recipient_key,
        received_at=now,
    )

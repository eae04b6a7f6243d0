"""What our side says: the entry in the log, and the delivery that brings it to the person."""

from __future__ import annotations

from omni.model.delivery import Delivery, Origin
from omni.model.entry import BotFinished, BotSaid
from omni.model.message import Message
from sessions.state import CallState
from sessions.steps import Around, Dispatch, LiveTurn, Step


def speech(
    state: CallState,
    turn: LiveTurn | None,
    message: Message,
    around: Around,
    *,
    after: int = 0,
    id_: str | None = None,
) -> tuple[BotSaid, Delivery]:
    """What the bot says, and its way to the person; `after` as in `delivery_of`. `id_` when it has one already."""
    delivery = delivery_of(state, message, "bot", around, after=after)
    said = BotSaid(
        id=id_ or around.new_id("msg"), text=message.text, turn=turn.number if turn else None, delivery=delivery
    )
    return said, delivery


def delivery_of(state: CallState, message: Message, origin: Origin, around: Around, *, after: int) -> Delivery:
    """`after` facts of the same step come before the one that asks for the delivery."""
    return Delivery(
        id=around.new_id("dlv"),
        org=state.org,
        call=state.id,
        home=state.home,
        agent=state.agent,
        channel=state.channel,
        contact=state.contact,
        to=around.recipient,
        message=message,
        origin=origin,
        seq=state.seq + after + 1,
        created_at=around.now,
        window_closes_at=state.window_closes_at,
        mark_read=state.newest_provider_id,
    )


def greet(state: CallState, text: str, around: Around) -> Step:
    """The agent's greeting, the first thing said in a call."""
    said, delivery = speech(state, None, Message.of(text), around)
    return Step((said, BotFinished(id=said.id)), (Dispatch(delivery),), None, (delivery,))

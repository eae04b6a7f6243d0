"""What our side says: written, the entry in the log and the delivery that brings it to the person; spoken, an order to
the voice, which reports what was heard."""

from __future__ import annotations

from dataclasses import dataclass

from omni.model.delivery import Delivery, Origin
from omni.model.entry import BotFinished, BotSaid, Fact
from omni.model.message import Message
from sessions.state import CallState
from sessions.steps import Around, Dispatch, Effect, Speak, Step


@dataclass(frozen=True, slots=True)
class Said:
    """What saying something makes of a call."""

    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


def say(
    state: CallState,
    turn: int | None,
    message: Message,
    around: Around,
    *,
    after: int = 0,
    id_: str | None = None,
    in_history: bool = True,
) -> Said:
    """The bot says it. `turn` is the turn it belongs to, `after` as in `delivery_of`, `id_` when it has one already."""
    id_ = id_ or around.new_id("msg")
    if state.has_sound:
        return Said(effects=(Speak(id_, message.text, turn, in_history),))
    delivery = delivery_of(state, message, "bot", around, after=after)
    said = BotSaid(id=id_, text=message.text, turn=turn, delivery=delivery, in_history=in_history)
    return Said((said, BotFinished(id=id_)), (Dispatch(delivery),), (delivery,))


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
    said = say(state, None, Message.of(text), around)
    return Step(said.facts, said.effects, None, said.deliveries)

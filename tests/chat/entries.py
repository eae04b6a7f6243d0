"""A call's log, written by hand: each function makes one fact, `Log.of` numbers them."""

from __future__ import annotations

from typing import Any

from omni.live.told import Words
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.entry import BotSaid, Entry, Fact, HumanSaid, TurnEnded, UserSaid
from omni.model.message import Message

VISITOR = Identity(kind=IdentityKind.VISITOR, value="v-1")


def log(*facts: Fact, call: str = "chat-1", after: int = 0) -> list[Entry]:
    """The facts as the entries of a call that follow `after`."""
    return [
        Entry(seq=after + n, ts=1_000.0 + n, call=call, agent="desk", fact=fact)
        for n, fact in enumerate(facts, start=1)
    ]


def asked(theirs: str, ours: str = "u1", text: str = "hello", **more: Any) -> UserSaid:
    return UserSaid(id=ours, text=text, provider_id=theirs, at=1.0, message=Message.of(text), **more)


def said(id_: str, text: str = "hi", *, turn: int | None = 1, message: Message | None = None) -> BotSaid:
    content = message or Message.of(text)
    delivery = Delivery(
        id=f"dlv_{id_}",
        call="chat-1",
        home="chat:default:v-1",
        agent="desk",
        channel="chat",
        contact="ct_1",
        to=Recipient(identities=(VISITOR,)),
        message=content,
        origin="bot",
        seq=1,
        created_at=1.0,
    )
    return BotSaid(id=id_, text=content.text, turn=turn, delivery=delivery)


def wrote(id_: str, text: str) -> HumanSaid:
    return HumanSaid(id=id_, text=text, by="ada@shop.example", message=Message.of(text))


def ended(*answers: str, outcome: Any = "answered", **more: Any) -> TurnEnded:
    return TurnEnded(turn=1, answers=answers, outcome=outcome, **more)


def words(id_: str, text: str = "", *, turn: int = 1, void: bool = False, start: int | None = None) -> Words:
    return Words(id=id_, turn=turn, text=text, void=void, start=start)

"""Calls with sound as the voice writes them down and tells of them, for those who only look at them."""

from __future__ import annotations

import time
from typing import Any

from omni.live.told import Told, calls_topic, dump_told
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, known_by
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallForwarded,
    CallHeld,
    CallMuted,
    CallRecorded,
    CallRinging,
    CallStarted,
    CallSummary,
    CallUnheld,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    Entry,
    Fact,
    ForwardFailed,
    HandoffActive,
    HumanSaid,
    UserSaid,
)
from omni.model.message import Message
from omni.store.base import Append
from tests.server.shop import Shop

OURS, ADA, BO = "+12025550142", "+12025550171", "+12025550172"


def ends(direction: str = "inbound", who: str = ADA) -> dict[str, Any]:
    from_, to = (who, OURS) if direction == "inbound" else (OURS, who)
    return {"direction": direction, "from": from_, "to": to, "channel": f"phone:{OURS}", "contact": "c", "name": None}


def rang(direction: str = "inbound") -> CallRinging:
    return CallRinging.model_validate(ends(direction))


def started(direction: str = "inbound") -> CallStarted:
    return CallStarted.model_validate(ends(direction))


def said(id_: str, text: str, **more: Any) -> UserSaid:
    given = {"id": id_, "text": text, "provider_id": id_, "at": time.time(), "message": Message.of(text), "turn": 1}
    return UserSaid.model_validate({**given, **more})


TALK: tuple[Fact, ...] = (
    rang(),
    started(),
    BotSaid(id="m1", text="Bakery Lumi, hello! How can I help you?"),
    BotFinished(id="m1", text="Bakery Lumi, hello! How can I help you?", duration_ms=2_100),
    said("u1", "Hi, I would like"),
    said("u2", "Hi, I would like a cake for Sunday.", replaces="u1"),
    BotSaid(id="m2", text="With pleasure. We have lemon, carrot and chocolate, and on Sundays", turn=1),
    BotCorrected(supersedes=7, id="m2", text="With pleasure. We have lemon,"),
    BotInterrupted(id="m2", text="With pleasure. We have lemon,", at_word=5, played_ms=1_900, reason="user_spoke"),
    said("u3", "Lemon, please. Can I talk to somebody about the writing on it?", turn=2),
    DigitReceived(digit="1", digits="1"),
    CallHeld(),
    CallUnheld(),
    HandoffActive(by="op_1"),
    HumanSaid(id="h1", text="Hello, I can help with the writing.", by="op_1",
              message=Message.of("Hello, I can help with the writing.")),
)  # fmt: skip
MORE: tuple[Fact, ...] = (
    CallMuted(),
    CallUnmuted(transcript="It is for my mother"),
    DigitsSent(digits="12#"),
    ForwardFailed(to="+12025550188", reason="nobody answered"),
    CallForwarded(to="+12025550199"),
)


def over(reason: str = "hangup", seconds: float = 133.0) -> tuple[Fact, ...]:
    return (CallEnded(reason=reason, duration=seconds), CallSummary(reason=reason))


class Line:
    """One call. `adds` writes entries down and tells of them; `tells` is for what is too fleeting."""

    def __init__(self, shop: Shop, call: Call) -> None:
        self.shop = shop
        self.call = call

    async def adds(self, *facts: Fact, **changes: Any) -> None:
        now, seq = time.time(), self.call.last_seq
        id_, agent = self.call.id, self.call.agent
        entries = [Entry(seq=seq + n, ts=now, call=id_, agent=agent, fact=fact) for n, fact in enumerate(facts, 1)]
        self.call = self.call.model_copy(update={"last_seq": seq + len(entries), **changes})
        await self.shop.engines.store.append(Append(self.call, entries))
        await self.tells(entries=tuple(entries))

    async def tells(self, **more: Any) -> None:
        call = self.call
        told = Told(
            org=call.org, agent=call.agent, call=call.id, conversation=call.conversation, channel=call.channel,
            home=call.home, **more,
        )  # fmt: skip
        await self.shop.engines.bus.broadcast(calls_topic(call.org, call.agent), dump_told(told))

    async def ends(self, reason: str = "hangup", *before: Fact, recording: str | None = None) -> None:
        recorded = (
            (CallRecorded(blob=recording, duration_ms=133_000, sample_rate=8_000, size=1_644),) if recording else ()
        )
        now = time.time()
        changes = {"is_open": False, "reason": reason, "ended_at": now, "recording": recording, "is_ringing": False}
        await self.adds(*before, *recorded, *over(reason), **changes)


async def line(shop: Shop, id_: str, *facts: Fact, who: str = ADA, agent: str = "echo", **more: Any) -> Line:
    """A call that began 133 seconds ago."""
    store, now = shop.engines.store, time.time()
    known = await store.find_contacts("default", known_by(who[1:]))
    new = Contact(id=f"ct_{id_}", home="home", identities=known_by(who[1:]), name=more.pop("name", None))
    contact = known[0] if known else await store.save_contact(new)
    channel = f"phone:{OURS}"
    call = Call.model_validate(
        {
            "id": id_, "agent": agent, "channel": channel, "transport": "phone", "contact": contact.id,
            "conversation": conversation_key("default", agent, channel, f"{contact.id}/{id_}"), "home": "voice:gone",
            "started_at": now - 133, "last_at": now, **more,
        }
    )  # fmt: skip
    found = Line(shop, call)
    at = now - 133
    entries = [Entry(seq=n, ts=at + n, call=id_, agent=agent, fact=fact) for n, fact in enumerate(facts, 1)]
    found.call = call.model_copy(update={"last_seq": len(entries)})
    await store.append(Append(found.call, entries))
    await found.tells(entries=tuple(entries))
    return found

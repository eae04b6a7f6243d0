"""What was told in seconds, written down again as if it had taken its time."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from typing import Final

from omni.model.call import Call, conversation_key
from omni.model.contact import Contact
from omni.model.entry import CallStarted, Entry
from omni.store.base import Append, CallFilter, Store

DAY: Final = 24 * 3600.0
_GAPS: Final = {"user.message": 64.0, "human.message": 41.0, "bot.message": 3.0, "human.takeover": 9.0}
CHATTED: Final = ("Farah Haddad", "Noor Al-Sayed", "Jonas Weber")
"""Who wrote on the web site; told through WhatsApp like the others, where nobody looks at them."""

_TIMES: Final = (
    "started_at", "ended_at", "last_at", "last_user_at", "waiting_since", "first_user_at", "first_answer_at",
    "first_human_at",
)  # fmt: skip


class Retimed:
    """Times of one log, and what they become when its last entry was at `end`."""

    def __init__(self, entries: Sequence[Entry], end: float) -> None:
        self._were = [entry.ts for entry in entries]
        spent = 0.0
        passed = []
        for entry in entries:
            spent += _GAPS.get(entry.fact.type, 0.2)
            passed.append(spent)
        self._are = [end - spent + one for one in passed]

    def __call__(self, at: float) -> float:
        place = min(len(self._were) - 1, bisect.bisect_left(self._were, at))
        return self._are[place]

    def call(self, call: Call) -> Call:
        times = {name: self(at) for name in _TIMES if (at := getattr(call, name))}
        if call.first_user_at and call.first_answer_at:
            times["first_answer_at"] = times["first_user_at"] + 2.4  # what a model takes, and a script does not
        closes = {"window_closes_at": times["last_user_at"] + DAY} if call.window_closes_at else {}
        return call.model_copy(update={**times, **closes, "wake_at": None})


async def copy(told: Store, shown: Store, ends: dict[str, float]) -> None:
    """Everything that was told into another store; `ends` by contacts' names, epoch seconds."""
    for operator in await told.operators("default"):
        await shown.save_operator(operator.model_copy(update={"version": 0}))
    for kind in ("label", "canned", "view"):
        for item in await told.items("default", kind):
            await shown.save_item(item.model_copy(update={"version": 0}))
    for call in await told.calls(CallFilter(org="default")):
        entries = await told.entries(call.id, limit=10_000)
        time = Retimed(entries, ends[call.name or ""])
        contact = await told.contact(call.contact)
        assert contact is not None
        await shown.save_contact(contact.model_copy(update={"version": 0}))
        deliveries = [one.model_copy(update={"version": 0}) for one in await told.deliveries(call.id)]
        again = [entry.model_copy(update={"ts": time(entry.ts)}) for entry in entries]
        again_call = time.call(call)
        case = await told.case(call.conversation)
        if call.name in CHATTED:
            again_call = chatted(again_call)
        await shown.append(Append(call=again_call, entries=again, deliveries=deliveries))
        if case is not None:
            events = [one.model_copy(update={"at": time(one.at)}) for one in await told.case_events(call.conversation)]
            await shown.save_case(case.model_copy(update={"version": 0}), events)


def chatted(call: Call) -> Call:
    """The same on the web chat."""
    key = conversation_key(call.org, call.agent, "chat", call.contact)
    return call.model_copy(
        update={"channel": "chat", "transport": "chat", "conversation": key, "window_closes_at": None}
    )


async def add_history(shown: Store, now: float, days: int = 7) -> None:
    """Conversations of the last days that have ended, more of them by day than by night, and fewer at weekends."""
    chance = random.Random(7)
    number = 0
    for day in range(days):
        for _ in range(chance.randint(24, 34) + 3 * (days - day) - (12 if day % 7 in (1, 2) else 0)):
            number += 1
            hour = min(21.5, max(7.5, chance.gauss(13.5, 3.6)))
            began = now - now % DAY - day * DAY + (hour - 1) * 3600
            if began > now - 4 * 3600:
                continue
            channel = "chat" if chance.random() < 0.34 else "whatsapp:100200300"
            await _one(shown, number, began, channel, chance)


async def _one(shown: Store, number: int, began: float, channel: str, chance: random.Random) -> None:
    contact = f"ct_past{number}"
    asked = chance.random() < 0.27
    answered = began + chance.uniform(1.2, 4)
    human = began + chance.expovariate(1 / 240) + 25 if asked else None
    ended = (human or answered) + chance.uniform(180, 2_400)
    call = Call(
        id=f"wa-past{number}",
        agent="lumi",
        channel=channel,
        transport=channel.partition(":")[0],
        conversation=conversation_key("default", "lumi", channel, contact),
        contact=contact,
        home="0",
        is_open=False,
        started_at=began,
        ended_at=ended,
        reason="resolved" if asked else "idle",
        last_seq=1,
        last_at=ended,
        last_user_at=began,
        first_user_at=began,
        first_answer_at=answered,
        first_human_at=human,
        handoffs=int(asked),
        user_messages=chance.randint(2, 6),
        bot_messages=chance.randint(1, 5),
        human_messages=chance.randint(1, 4) if asked else 0,
    )
    started = CallStarted.model_validate(
        {"from": "+34600000000", "direction": "inbound", "to": "100200300", "channel": channel, "contact": contact}
    )
    await shown.save_contact(Contact(id=contact, home="0", identities=()))
    await shown.append(Append(call, [Entry(seq=1, ts=began, call=call.id, agent="lumi", fact=started)]))

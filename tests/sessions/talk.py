"""A call played by hand: its log, its state and its turn, without an actor, a clock or an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.delivery import Recipient
from omni.model.entry import CallStarted, Entry, Fact, TurnEnded, UserSaid
from omni.model.inbound import (
    ColleagueMessage,
    Configure,
    DeliveryFailed,
    EndCall,
    MediaReady,
    Pause,
    PauseAgent,
    PausePerson,
    PersonNotice,
    ProgramReply,
    Resume,
    SendMessage,
    UserEdit,
    UserMessage,
    UserReaction,
    UserRevoke,
    Wake,
)
from omni.model.message import Media, MediaKind, Message
from sessions.decide import decide
from sessions.fold import fold
from sessions.rules.turns import files_came, owed_turn
from sessions.state import CallState
from sessions.steps import (
    AbortTurn,
    Around,
    BeginTurn,
    Dispatch,
    Happening,
    LiveTurn,
    Step,
    Tick,
    ToolBegan,
    ToolFinished,
    TurnDone,
    TurnSaid,
    Withdraw,
)

T0 = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
CHANNEL = "whatsapp:100"
SENDER = Sender(
    identities=(Identity(kind=IdentityKind.WA_ID, value="44790"), Identity(kind=IdentityKind.PHONE, value="44790")),
    routing="whatsapp:default:44790",
    name="Ana",
)
ANA = Contact(id="ct-1", home=SENDER.routing, identities=SENDER.identities, name="Ana", version=1)
PICTURE = Media(kind=MediaKind.IMAGE, provider_id="media-1", caption="look")
VOICE = Media(kind=MediaKind.AUDIO, provider_id="media-2", voice=True)


class Talk:
    """`do` puts one happening to the call; `log`, `state`, `turn` and `effects` are what came of it."""

    def __init__(self, **agent: Any) -> None:
        self.agent = Agent.model_validate({"slug": "desk", "brain": "script", "debounce_ms": 600, **agent})
        self.contact = ANA
        self.now = T0
        self.effects: list[Any] = []
        self.log: list[Entry] = []
        self.turn: LiveTurn | None = None
        self._count = 0
        self.empty = CallState(
            id="wa-1",
            org="default",
            agent="desk",
            channel=CHANNEL,
            transport="whatsapp",
            conversation=f"default/desk/{CHANNEL}/ct-1",
            contact="ct-1",
            home=SENDER.routing,
        )
        self.state = self.empty
        self.append(
            CallStarted.model_validate(
                {"direction": "inbound", "from": "44790", "to": "100", "channel": CHANNEL, "contact": "ct-1"}
            )
        )

    # how the call goes on

    @property
    def around(self) -> Around:
        return Around(self.now, self.agent, self.contact, self.new_id, Recipient(identities=SENDER.identities))

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count:06d}"

    def append(self, fact: Fact) -> None:
        entry = Entry(seq=self.state.seq + 1, ts=self.now, call="wa-1", agent="desk", fact=fact)
        self.log.append(entry)
        self.state = fold(self.state, entry)

    def do(self, happening: Happening) -> Step:
        step = decide(self.state, self.turn, happening, self.around)
        for fact in step.facts:
            self.append(fact)
        self.effects = list(step.effects)
        self.turn = files_came(self.state, step.turn, self.now)
        return step

    def settle(self) -> None:
        """What an actor does at the end of its step: a turn that is owed is there, one that is due begins."""
        effects = self.effects
        if self.turn is None:
            self.turn = owed_turn(self.state, self.around)
        if self.turn is not None and self.turn.phase != "generating" and self.turn.due <= self.now:
            self.do(Tick())
            self.effects = effects + self.effects

    def later(self, seconds: float) -> Step:
        self.now += seconds
        return self.do(Tick())

    # what was done

    def facts(self, *types: type) -> list[Any]:
        return [entry.fact for entry in self.log if isinstance(entry.fact, types)]

    def words(self) -> list[str]:
        """Type by type, what the log says after the call's start."""
        return [entry.fact.type for entry in self.log[1:]]

    def did(self, effect: type) -> bool:
        return any(isinstance(each, effect) for each in self.effects)

    @property
    def sent(self) -> list[str]:
        return [each.delivery.message.text for each in self.effects if isinstance(each, Dispatch)]

    @property
    def is_generating(self) -> bool:
        return self.turn is not None and self.turn.phase == "generating"

    # what happens to it

    def head(self, **more: Any) -> dict[str, Any]:
        return {"key": self.new_id("in"), "agent": "desk", "channel": CHANNEL, "at": self.now, **more}

    def to_call(self, **more: Any) -> dict[str, Any]:
        return self.head(call="wa-1", home=SENDER.routing, **more)

    def person(self, **more: Any) -> dict[str, Any]:
        wamid = f"wamid-{self._count}"
        return {**self.head(sender=SENDER, provider_id=wamid, sent_at=self.now), **more}

    def heard(self, text: str = "hello", *parts: Media, **more: Any) -> UserMessage:
        message = Message.of(text) if not parts else Message(parts=parts)
        return UserMessage(**self.person(message=message, **more))

    def hear(self, text: str = "hello", *parts: Media, **more: Any) -> UserMessage:
        message = self.heard(text, *parts, **more)
        self.do(message)
        return message

    def ask(self, text: str = "hello") -> UserMessage:
        """A message whose turn has begun."""
        message = self.hear(text)
        self.later(self.agent.debounce_ms / 1000)
        assert self.is_generating
        return message

    def _number(self) -> int:
        return self.turn.number if self.turn is not None else 0

    def said(self, text: str, turn: int | None = None) -> TurnSaid:
        return TurnSaid(self.new_id("rep"), turn or self._number(), Message.of(text))

    def done(self, text: str | None = None, turn: int | None = None, **more: Any) -> TurnDone:
        return TurnDone(
            self.new_id("rep"), turn or self._number(), message=Message.of(text) if text is not None else None, **more
        )

    def tool(self, id_: str = "t1", turn: int | None = None) -> ToolBegan:
        return ToolBegan(self.new_id("rep"), turn or self._number(), id_, "look", {"a": 1})

    def tool_done(self, id_: str = "t1", turn: int | None = None) -> ToolFinished:
        return ToolFinished(self.new_id("rep"), turn or self._number(), id_, "look", {"b": 2}, 5, is_error=False)

    def pause(self, by: str = "ann") -> Pause:
        return Pause(**self.to_call(by=by))

    def resume(self, by: str = "ann", note: str | None = None) -> Resume:
        return Resume(**self.to_call(by=by, note=note))

    def send(self, text: str, *, takes_over: bool = True, by: str = "ann") -> SendMessage:
        return SendMessage(**self.to_call(by=by, message=Message.of(text), takes_over=takes_over))

    def echo(self, text: str, **more: Any) -> ColleagueMessage:
        return ColleagueMessage(**self.person(message=Message.of(text), **more))

    def edit(self, target: str, *parts: Media, text: str = "") -> UserEdit:
        return UserEdit(**self.person(target=target, message=Message(parts=parts) if parts else Message.of(text)))

    def revoke(self, target: str) -> UserRevoke:
        return UserRevoke(**self.person(target=target))

    def react(self, target: str, emoji: str | None = "+") -> UserReaction:
        return UserReaction(**self.person(target=target, emoji=emoji))

    def file_came(self, message_id: str, part: int = 0, call: str = "wa-1", **media: Any) -> MediaReady:
        stored = PICTURE.model_copy(update={"blob": "blob-1", **media})
        return MediaReady(**{**self.to_call(message_id=message_id, part=part, media=stored), "call": call})

    def failed(self, code: str = "undeliverable", call: str = "wa-1", asked_at: float | None = None) -> DeliveryFailed:
        told = self.to_call(delivery="dlv-1", code=code, reason="refused", asked_at=asked_at)
        return DeliveryFailed(**{**told, "call": call})

    def end(self, call: str = "wa-1") -> EndCall:
        return EndCall(**{**self.to_call(by="ann"), "call": call})

    def wake(self) -> Wake:
        return Wake(**self.to_call())

    def notice(self, *, opens_window: bool) -> PersonNotice:
        return PersonNotice(
            **self.head(sender=SENDER, name="call_permission", sent_at=self.now, opens_window=opens_window)
        )

    def pause_agent(self, *, paused: bool = True) -> PauseAgent:
        self.agent = self.agent.model_copy(update={"is_paused": paused})
        return PauseAgent(**self.head(paused=paused, by="ann", partition=0))

    def pause_person(self, *, paused: bool = True) -> PausePerson:
        self.contact = self.contact.model_copy(update={"is_paused": paused})
        return PausePerson(**self.head(contact="ct-1", home=SENDER.routing, paused=paused, by="ann"))


class Desk(Talk):
    """A call whose agent is a program that is connected (`since`), or away."""

    def __init__(self, **agent: Any) -> None:
        self.since: float | None = 0.0
        super().__init__(**{"brain": "client", "debounce_ms": 0, **agent})

    @property
    def around(self) -> Around:
        around = super().around
        return replace(around, agent=self.agent.with_(self.state.overrides), program_since=self.since)

    def hear_and_offer(self, text: str = "hello") -> str:
        """A message that was put to the program; its id."""
        self.hear(text)
        self.do(Tick())
        return str(self.facts(UserSaid)[-1].id)

    def reply(self, to: str, text: str | None = "hi", program: str = "c1", **more: Any) -> ProgramReply:
        message = Message.of(text) if text is not None else None
        said = self.new_id("said")
        return ProgramReply(**self.to_call(message_id=said, in_reply_to=to, message=message, program=program, **more))

    def broken(self, to: str, error: str = "ValueError") -> ProgramReply:
        """The program says that it cannot answer."""
        return self.reply(to, None, error=error)

    def configure(self, **overrides: Any) -> Configure:
        return Configure(**self.to_call(overrides=Overrides(**overrides)))

    def outcomes(self) -> list[str]:
        return [fact.outcome for fact in self.facts(TurnEnded)]


__all__ = [
    "ANA",
    "CHANNEL",
    "DAY",
    "HOUR",
    "PICTURE",
    "SENDER",
    "T0",
    "VOICE",
    "AbortTurn",
    "BeginTurn",
    "Desk",
    "Dispatch",
    "Talk",
    "Tick",
    "Withdraw",
    "replace",
]

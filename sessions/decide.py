"""`decide`: what an input makes a call do. Pure: time, ids and the agent's settings come in as arguments.

All rules of a text conversation live here: what opens a turn, what cancels it, who may speak, when a call ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import JsonValue

from omni.model.agent import Agent
from omni.model.contact import Contact, Identity
from omni.model.delivery import Delivery, FetchMedia, Origin
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallEnded,
    CallSummary,
    ContactChanged,
    Custom,
    DeliveryLost,
    Fact,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanChanged,
    HumanSaid,
    MediaStored,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    TurnStarted,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
)
from omni.model.inbound import (
    ColleagueMessage,
    DeliveryFailed,
    EndCall,
    IdentityChanged,
    MediaReady,
    Pause,
    PauseAgent,
    PausePerson,
    PersonNotice,
    Resume,
    SendMessage,
    UserEdit,
    UserMessage,
    UserReaction,
    UserRevoke,
    Wake,
)
from omni.model.message import Media, Message
from sessions.state import WINDOW_SECONDS, CallState
from sessions.steps import (
    AbortTurn,
    Around,
    BeginTurn,
    Dispatch,
    Effect,
    Fetch,
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

LEASE_SECONDS = 60.0
"""A turn whose worker died without a trace is started again after this long at the latest."""


def decide(state: CallState, turn: LiveTurn | None, happening: Happening, around: Around) -> Step:
    """What `happening` makes of the call. Pure: the same arguments give the same step."""
    if not state.is_open:
        return Step(turn=None)
    if isinstance(happening, MediaReady | DeliveryFailed | EndCall) and happening.call != state.id:
        return Step(turn=turn)  # it speaks of an earlier call of this conversation, whose log is sealed
    match happening:
        case UserMessage():
            return _heard(state, turn, happening, around)
        case Tick():
            return _tick(state, turn, around)
        case TurnSaid() | TurnDone():
            return _answer(state, turn, happening, around)
        case ToolBegan() | ToolFinished():
            return _tool(state, turn, happening, around)
        case Pause():
            return _taken_over(state, turn, happening.by)
        case Resume():
            return _handed_back(state, turn, happening)
        case SendMessage():
            return _human_writes(state, turn, happening, around)
        case ColleagueMessage():
            return _colleague(state, turn, happening, around)
        case UserReaction():
            return Step((UserReacted(target=happening.target, emoji=happening.emoji, at=happening.sent_at),), (), turn)
        case UserEdit():
            return _edited(state, turn, happening)
        case UserRevoke():
            return _revoked(state, turn, happening)
        case MediaReady():
            return _media(state, turn, happening)
        case DeliveryFailed():
            return Step((_lost(happening),), (), turn)
        case IdentityChanged():
            return Step((_renamed(around.contact, happening.why),), (), turn)
        case PersonNotice():
            acted_at = happening.sent_at if happening.opens_window else None
            return Step((Custom(name=happening.name, value=happening.value, user_at=acted_at),), (), turn)
        case PausePerson() | PauseAgent():
            return _forgo(state, turn, "the bot was paused") if happening.paused else Step(turn=turn)
        case EndCall():
            return _end(state, turn, happening.reason, around.now)
        case Wake():
            return _wake(state, turn, around)


def is_silent(state: CallState, around: Around) -> bool:
    """True when the bot must not speak: a person has the call, is asked for, or paused the contact or the agent."""
    return state.handler != "bot" or around.contact.is_paused or around.agent.is_paused


def next_wake(state: CallState, agent: Agent, turn: LiveTurn | None, now: float) -> float | None:
    """When somebody must look at the call although nothing arrived; None for a call that has ended."""
    if not state.is_open:
        return None
    if state.unanswered:
        return now + LEASE_SECONDS + agent.turn_timeout_s
    if state.handler == "bot":
        return state.last_activity + agent.idle_timeout_s
    ends = max(state.last_user_at, state.last_activity) + WINDOW_SECONDS
    if state.handler == "human" and agent.handoff_idle_s:
        return min(ends, state.last_activity + agent.handoff_idle_s)
    return ends


def owed_turn(state: CallState, around: Around) -> LiveTurn | None:
    """The turn that a call woken from its log still owes, started at once: its debounce was long ago."""
    if not state.is_open or not state.unanswered or is_silent(state, around):
        return None
    return LiveTurn(number=state.turns + 1, phase="waiting", first_at=around.now, due=around.now)


def resumed(state: CallState, turn: LiveTurn | None, around: Around) -> LiveTurn | None:
    """What a turn in memory is still worth once the log was read again: it may have been answered, or overtaken."""
    if turn is None or not state.unanswered:
        return owed_turn(state, around)
    if turn.phase == "generating" and turn.answers == state.unanswered:
        return replace(turn, has_spoken=state.spoken_turn == turn.number)
    return replace(turn, phase="waiting", answers=(), has_spoken=False)


def media_jobs(state: CallState, around: Around, message_id: str, message: Message) -> tuple[Fetch, ...]:
    """The jobs that bring a message's files."""
    jobs: list[Fetch] = []
    for place in message.pending_media:
        part = message.parts[place]
        if isinstance(part, Media):
            jobs.append(
                Fetch(
                    FetchMedia(
                        call=state.id,
                        home=state.home,
                        org=state.org,
                        agent=state.agent,
                        channel=state.channel,
                        message_id=message_id,
                        part=place,
                        media=part,
                        language=around.agent.language,
                    )
                )
            )
    return tuple(jobs)


# the user


def _heard(state: CallState, turn: LiveTurn | None, heard: UserMessage, around: Around) -> Step:
    early = next((e for e in reversed(state.early) if e.target == heard.provider_id), None)
    message = early.message if early is not None and early.message is not None else heard.message
    is_deleted = early is not None and early.message is None
    silent = is_silent(state, around) or heard.mode == "standby" or is_deleted
    said = UserSaid(
        id=around.new_id("msg"),
        text=message.text,
        provider_id=heard.provider_id,
        at=heard.sent_at,
        message=message,
        mode=heard.mode,
        paused=silent,
        name=heard.sender.name,
    )
    if is_deleted:
        return Step((said, UserRevoked(id=said.id, target=heard.provider_id)), (), turn)
    fetches = media_jobs(state, around, said.id, message)
    if silent or not _opens_turn(message):
        fact = said if silent else said.model_copy(update={"paused": True})
        return Step((fact,), fetches, turn)
    debounce = around.agent.debounce_ms / 1000
    if turn is None:
        waiting = LiveTurn(number=state.turns + 1, phase="waiting", first_at=around.now, due=around.now + debounce)
        return Step((said,), fetches, waiting)
    if turn.phase == "waiting":
        due = min(around.now + debounce, turn.first_at + around.agent.max_debounce_ms / 1000)
        return Step((said,), fetches, replace(turn, due=max(due, around.now), wants_files=False))
    facts, aborted = _cut(turn, "user continued")
    again = LiveTurn(
        number=turn.number + 1 if turn.has_spoken else turn.number,
        phase="waiting",
        first_at=around.now,
        due=around.now + debounce,
    )
    return Step((*facts, said), (*aborted, *fetches), again)


def _opens_turn(message: Message) -> bool:
    """A message without any words or content is recorded but not put to the bot."""
    return bool(message.parts) and (bool(message.text.strip()) or any(p.type != "text" for p in message.parts))


def _cut(turn: LiveTurn, because: str) -> tuple[tuple[Fact, ...], tuple[Effect, ...]]:
    """End a turn whose brain is at work. What it already said stays said, and counts as the answer."""
    facts: tuple[Fact, ...] = ()
    if turn.has_spoken:
        facts = (TurnEnded(turn=turn.number, answers=turn.answers, outcome="answered", error=because),)
    return facts, (AbortTurn(turn.number, because),)


def _drop(turn: LiveTurn | None, because: str) -> tuple[tuple[Fact, ...], tuple[Effect, ...]]:
    if turn is None or turn.phase == "waiting":
        return (), ()
    return _cut(turn, because)


def _edited(state: CallState, turn: LiveTurn | None, edit: UserEdit) -> Step:
    """An edit changes the record and the bot's memory of it; it is not a second question."""
    id_ = state.message_id(edit.target)
    return Step((UserEdited(id=id_, target=edit.target, text=edit.message.text, message=edit.message),), (), turn)


def _revoked(state: CallState, turn: LiveTurn | None, revoke: UserRevoke) -> Step:
    """A message that its author deleted is not answered; a turn that answers nothing else is over."""
    id_ = state.message_id(revoke.target)
    fact = UserRevoked(id=id_, target=revoke.target)
    if turn is None or id_ not in state.unanswered:
        return Step((fact,), (), turn)
    facts, effects = _drop(turn, "user deleted the message")
    if len(state.unanswered) == 1:
        return Step((*facts, fact), effects, None)
    return Step((*facts, fact), effects, replace(turn, phase="waiting", answers=(), has_spoken=False))


def _media(state: CallState, turn: LiveTurn | None, ready: MediaReady) -> Step:
    return Step((MediaStored(id=ready.message_id, part=ready.part, media=ready.media),), (), turn)


# turns


def _tick(state: CallState, turn: LiveTurn | None, around: Around) -> Step:
    """Begin the turn when the user has paused long enough and the files are there (or have kept us long enough)."""
    if turn is None or turn.phase != "waiting" or turn.due > around.now:
        return Step(turn=turn)
    if is_silent(state, around):
        return _forgo(state, None, "the bot is paused")
    if not state.unanswered:
        return Step(turn=None)
    patience = turn.first_at + around.agent.media_wait_ms / 1000
    if any(a.message_id in state.unanswered for a in state.awaited) and patience > around.now:
        return Step(turn=replace(turn, due=patience, wants_files=True))
    if len([at for at in state.recent_turns if at > around.now - 60]) >= around.agent.max_turns_per_minute:
        fact = HandoffRequested(by="rate-guard", reason="more automatic answers in a minute than the agent allows")
        return Step((fact,), (), None)
    begun = replace(turn, number=state.turns + 1, phase="generating", answers=state.unanswered, due=around.now)
    return Step((), (BeginTurn(begun),), begun)


def files_came(state: CallState, turn: LiveTurn | None, now: float) -> LiveTurn | None:
    """A turn that waited for files goes on at once when the last of them is there."""
    if turn is None or turn.phase != "waiting" or not turn.wants_files:
        return turn
    if any(a.message_id in state.unanswered for a in state.awaited):
        return turn
    return replace(turn, due=min(turn.due, now))


def _is_current(state: CallState, turn: LiveTurn | None, number: int, around: Around) -> LiveTurn | None:
    """The turn a report belongs to, if it may still speak: only the newest turn, only while the bot has the call, and
    only while somebody is owed the answer (another worker may have given it)."""
    if turn is None or turn.phase != "generating" or turn.number != number or is_silent(state, around):
        return None
    return turn if set(turn.answers) <= set(state.unanswered) else None


def _outdated(state: CallState, turn: LiveTurn | None, number: int, around: Around) -> Step:
    """A report that may not act. One of the turn at work ends it: nobody else would."""
    if turn is None or turn.phase != "generating" or turn.number != number:
        return Step(turn=turn)
    if is_silent(state, around):
        return _forgo(state, turn, "the bot is paused")
    return Step((), (AbortTurn(number, "it was answered already"),), None)


def _answer(state: CallState, turn: LiveTurn | None, report: TurnSaid | TurnDone, around: Around) -> Step:
    current = _is_current(state, turn, report.turn, around)
    if current is None:
        return _outdated(state, turn, report.turn, around)
    facts: list[Fact] = []
    deliveries: list[Delivery] = []
    if not current.has_spoken and state.turns < current.number:
        facts.append(TurnStarted(turn=current.number, answers=current.answers))
    message = report.message
    if isinstance(report, TurnDone) and report.error is not None and message is None and not current.has_spoken:
        message = Message.of(around.agent.fallback) if around.agent.fallback else None
    if message is not None:
        said, delivery = _speech(state, current, message, around, after=len(facts))
        facts += [said, BotFinished(id=said.id)]
        deliveries.append(delivery)
    if isinstance(report, TurnSaid):
        return Step(
            tuple(facts), tuple(Dispatch(d) for d in deliveries), replace(current, has_spoken=True), tuple(deliveries)
        )
    facts.append(_ended_turn(state, current, report, message, around))
    if report.hands_over:
        facts.append(HandoffRequested(by="bot", reason=report.reason))
    effects: tuple[Effect, ...] = tuple(Dispatch(d) for d in deliveries)
    if report.ends_call:
        counted = {
            "turns": max(state.turns, current.number),
            "bot_messages": state.bot_messages + len(deliveries),
        }
        facts += _ending(state.model_copy(update=counted), report.reason or "completed", around.now)
    return Step(tuple(facts), effects, None, tuple(deliveries))


def _ended_turn(state: CallState, turn: LiveTurn, done: TurnDone, message: Message | None, around: Around) -> TurnEnded:
    latency = {"e2e": round(max(0.0, around.now - state.last_user_text_at), 6)}
    if done.first_token is not None:
        latency["first_token"] = round(max(0.0, done.first_token - state.last_user_text_at), 6)
    outcome: Literal["answered", "silent", "failed", "handed_over"] = "answered"
    if done.error is not None:
        outcome = "failed"
    elif done.hands_over:
        outcome = "handed_over"
    elif message is None and not turn.has_spoken:
        outcome = "silent"
    return TurnEnded(turn=turn.number, answers=turn.answers, outcome=outcome, error=done.error, latency=latency)


def _speech(
    state: CallState, turn: LiveTurn | None, message: Message, around: Around, *, after: int = 0
) -> tuple[BotSaid, Delivery]:
    delivery = _delivery(state, message, "bot", around, after=after)
    said = BotSaid(id=around.new_id("msg"), text=message.text, turn=turn.number if turn else None, delivery=delivery)
    return said, delivery


def _delivery(state: CallState, message: Message, origin: Origin, around: Around, *, after: int) -> Delivery:
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
    said, delivery = _speech(state, None, Message.of(text), around)
    return Step((said, BotFinished(id=said.id)), (Dispatch(delivery),), None, (delivery,))


def _tool(state: CallState, turn: LiveTurn | None, report: ToolBegan | ToolFinished, around: Around) -> Step:
    """Tools are logged as they happen: what they did outlives the turn, even one that was cut meanwhile."""
    if isinstance(report, ToolFinished):
        fact = ToolAnswered(id=report.id, name=report.name, result=report.result, ms=report.ms, error=report.is_error)
        return Step((fact,), (), turn)
    current = _is_current(state, turn, report.turn, around)
    if current is None:
        return _outdated(state, turn, report.turn, around)
    facts: list[Fact] = []
    if state.turns < current.number:
        facts.append(TurnStarted(turn=current.number, answers=current.answers))
    facts.append(ToolCalled(id=report.id, name=report.name, args=report.arguments, turn=report.turn))
    return Step(tuple(facts), (), current)


# people on our side


def _taken_over(state: CallState, turn: LiveTurn | None, by: str) -> Step:
    """From here on the bot says nothing: the brain is cut, and what it said but nobody began to send is withdrawn."""
    if state.handler == "human" and state.handled_by == by:
        return Step(turn=turn)
    facts, effects = _drop(turn, "a person took over")
    return Step((*facts, HandoffActive(by=by)), (*effects, Withdraw()), None)


def _handed_back(state: CallState, turn: LiveTurn | None, resume: Resume) -> Step:
    if state.handler == "bot":
        return Step(turn=turn)
    return Step((HandoffReleased(by=resume.by, note=resume.note),), (), None)


def _human_writes(state: CallState, turn: LiveTurn | None, send: SendMessage, around: Around) -> Step:
    """A person's message cuts the bot off in any case; with `takes_over` it also keeps the bot silent afterwards."""
    facts, effects = _drop(turn, "a person wrote")
    withdraw: tuple[Effect, ...] = (Withdraw(),)
    if send.takes_over and (state.handler != "human" or state.handled_by != send.by):
        facts = (*facts, HandoffActive(by=send.by))
    delivery = _delivery(state, send.message, "human", around, after=len(facts))
    said = HumanSaid(
        id=around.new_id("msg"), text=send.message.text, by=send.by, message=send.message, delivery=delivery
    )
    return Step((*facts, said), (*effects, *withdraw, Dispatch(delivery)), None, (delivery,))


def _colleague(state: CallState, turn: LiveTurn | None, echo: ColleagueMessage, around: Around) -> Step:
    """A colleague wrote in the phone's own app: recorded, never sent, and by default a takeover."""
    if echo.act != "message" or echo.message is None:
        text = echo.message.text if echo.message is not None and echo.act == "edit" else None
        return Step((HumanChanged(target=echo.target or echo.provider_id, text=text),), (), turn)
    said = HumanSaid(
        id=around.new_id("msg"),
        text=echo.message.text,
        by="phone-app" if echo.pauses else "other-agent",
        message=echo.message,
        provider_id=echo.provider_id,
    )
    if not (echo.pauses and around.agent.echo_pauses):
        facts, effects = _drop(turn, "somebody else answered")
        return Step((*facts, said), (*effects, Withdraw()), None)
    taken = _taken_over(state, turn, "phone-app")
    return Step((*taken.facts, said), taken.effects, None)


def _forgo(state: CallState, turn: LiveTurn | None, why: str) -> Step:
    """The bot was silenced with an answer still owed: it will not be given later, when it would be out of place."""
    _, effects = _drop(turn, why)
    facts: tuple[Fact, ...] = ()
    if state.unanswered:
        number = turn.number if turn is not None else state.turns + 1
        facts = (TurnEnded(turn=number, answers=state.unanswered, outcome="silent", error=why),)
    return Step(facts, (*effects, Withdraw()), None)


# the end


def _ending(state: CallState, reason: str, now: float) -> list[Fact]:
    metrics: dict[str, JsonValue] = {
        "user_messages": state.user_messages,
        "bot_messages": state.bot_messages,
        "human_messages": state.human_messages,
        "turns": state.turns,
        "failed_deliveries": state.failed,
    }
    return [
        CallEnded(reason=reason, duration=round(max(0.0, now - state.started_at), 3)),
        CallSummary(reason=reason, metrics=metrics),
    ]


def _end(state: CallState, turn: LiveTurn | None, reason: str, now: float) -> Step:
    facts, effects = _drop(turn, "the call ended")
    return Step((*facts, *_ending(state, reason, now)), effects, None)


def _wake(state: CallState, turn: LiveTurn | None, around: Around) -> Step:
    """The alarm clock: hand back, end an idle call, or start a turn that its worker never finished."""
    due = next_wake(state, around.agent, None, around.now)
    if state.unanswered and turn is None:
        owed = owed_turn(state, around)
        return Step(turn=owed) if owed is not None else _forgo(state, None, "the bot is paused")
    if due is None or due > around.now or turn is not None:
        return Step(turn=turn)
    if state.handler == "human" and around.agent.handoff_idle_s:
        idle_since = state.last_activity + around.agent.handoff_idle_s
        if idle_since <= around.now and around.now < state.last_user_at + WINDOW_SECONDS:
            return Step((HandoffReleased(by="idle"),), (), None)
    reason = "idle_timeout" if state.handler == "bot" else "window_expired"
    return _end(state, turn, reason, around.now)


def _lost(failed: DeliveryFailed) -> DeliveryLost:
    return DeliveryLost(
        delivery=failed.delivery, code=failed.code, reason=failed.reason, provider_code=failed.provider_code
    )


def _renamed(contact: Contact, why: str) -> ContactChanged:
    return ContactChanged(contact=contact.id, identities=contact.identities, why=why)


def reachable(identities: tuple[Identity, ...], contact: Contact) -> tuple[Identity, ...]:
    """Identities to send to: the newest input's own first (the channel just used them), then the contact's."""
    rest = tuple(identity for identity in reversed(contact.identities) if identity not in identities)
    return (*identities, *rest)

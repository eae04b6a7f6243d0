"""People on our side: they take a call over, write in it, and hand it back."""

from __future__ import annotations

from omni.model.entry import HandoffActive, HandoffReleased, HumanChanged, HumanSaid
from omni.model.inbound import ColleagueMessage, Resume, SendMessage, WriteTo
from sessions.rules.speech import delivery_of
from sessions.rules.turns import drop
from sessions.state import CallState
from sessions.steps import Around, Dispatch, LiveTurn, Speak, Step, Withdraw


def taken_over(state: CallState, turn: LiveTurn | None, by: str, *, steals: bool = True) -> Step:
    """From here on the bot says nothing: the brain is cut, and what it said but nobody began to send is withdrawn."""
    if is_anothers(state, by, steals) or (state.handler == "human" and state.handled_by == by):
        return Step(turn=turn)
    facts, effects = drop(turn, "a person took over")
    return Step((*facts, HandoffActive(by=by)), (*effects, Withdraw()), None)


def is_anothers(state: CallState, by: str, steals: bool) -> bool:
    """Whether somebody else has the call and it is not to be taken from them. They may have taken it while this command
    was on its way, so that whoever sent it could not know."""
    return not steals and state.handler == "human" and state.handled_by != by


def handed_back(state: CallState, turn: LiveTurn | None, resume: Resume) -> Step:
    if state.handler == "bot" or is_anothers(state, resume.by, resume.steals):
        return Step(turn=turn)
    return Step((HandoffReleased(by=resume.by, note=resume.note),), (), None)


def human_writes(state: CallState, turn: LiveTurn | None, send: SendMessage | WriteTo, around: Around) -> Step:
    """A person's message cuts the bot off in any case; with `takes_over` it also keeps the bot silent afterwards."""
    facts, effects = drop(turn, "a person wrote")
    stays = is_anothers(state, send.by, send.steals if isinstance(send, SendMessage) else True)
    if send.takes_over and not stays and (state.handler != "human" or state.handled_by != send.by):
        facts = (*facts, HandoffActive(by=send.by))
    said = HumanSaid(
        id=send.message_id or around.new_id("msg"),
        text=send.message.text,
        by=send.by,
        message=send.message,
        tag=send.tag,
    )
    if state.has_sound:
        spoken = Speak(said.id, said.text, is_logged=False)
        return Step((*facts, said), (*effects, Withdraw(), spoken), None)
    delivery = delivery_of(state, send.message, "human", around, after=len(facts))
    said = said.model_copy(update={"delivery": delivery})
    return Step((*facts, said), (*effects, Withdraw(), Dispatch(delivery)), None, (delivery,))


def colleague(state: CallState, turn: LiveTurn | None, echo: ColleagueMessage, around: Around) -> Step:
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
        facts, effects = drop(turn, "somebody else answered")
        return Step((*facts, said), (*effects, Withdraw()), None)
    taken = taken_over(state, turn, "phone-app")
    return Step((*taken.facts, said), taken.effects, None)

"""What the user did: wrote, edited, deleted. A message opens a turn, or starts one at work again."""

from __future__ import annotations

from dataclasses import replace

from omni.model.delivery import FetchMedia
from omni.model.entry import Fact, UserEdited, UserRevoked, UserSaid
from omni.model.inbound import UserEdit, UserMessage, UserRevoke
from omni.model.message import Media, Message
from sessions.rules.aside import brought, joins
from sessions.rules.turns import again, drop, is_silent, taken_back
from sessions.state import CallState
from sessions.steps import Around, Effect, Fetch, LiveTurn, Step

MAX_RESTARTS = 5
"""So often a message cuts the brain that answers those before it. Who writes faster than it thinks is then answered
all the same, and what came meanwhile is the next turn's."""


def hear(state: CallState, turn: LiveTurn | None, heard: UserMessage, around: Around) -> Step:
    """A message: recorded in any case, and owed an answer unless the bot is silent or there is nothing to answer."""
    early = next((e for e in reversed(state.early) if e.target == heard.provider_id), None)
    message = early.message if early is not None and early.message is not None else heard.message
    is_deleted = early is not None and early.message is None
    must_not = is_silent(state, around)
    is_beside = joins(state, heard, around) and not is_deleted
    silent = must_not or heard.mode == "standby" or is_deleted or is_beside
    said = UserSaid(
        id=around.new_id("msg"),
        text=message.text,
        provider_id=heard.provider_id,
        at=heard.sent_at,
        message=message,
        mode="standby" if is_beside and not must_not else heard.mode,  # the call answers it, and nobody else need
        paused=silent,
        name=heard.sender.name,
    )
    if is_deleted:
        return Step((said, UserRevoked(id=said.id, target=heard.provider_id)), (), turn)
    fetches: tuple[Effect, ...] = media_jobs(state, around, said.id, message)
    if is_beside:
        fetches = (*fetches, *brought(said, heard, state, around))
    if silent or not _opens_turn(message):
        fact = said if silent else said.model_copy(update={"paused": True})
        return Step((fact,), fetches, turn)
    facts, aborted, waiting = _still_writing(state, turn, around)
    return Step((*facts, said), (*aborted, *fetches), waiting)


def _still_writing(
    state: CallState, turn: LiveTurn | None, around: Around
) -> tuple[tuple[Fact, ...], tuple[Effect, ...], LiveTurn]:
    """The turn that waits for the user to finish. A brain at work is cut: it does not know the newest words."""
    debounce = around.agent.debounce_ms / 1000
    void = taken_back(state)
    if turn is not None and turn.phase == "waiting":
        due = min(around.now + debounce, turn.first_at + around.agent.max_debounce_ms / 1000)
        return void, (), replace(turn, due=max(due, around.now), wants_files=False)
    if turn is not None and turn.phase == "generating" and turn.restarts >= MAX_RESTARTS:
        return (), (), turn
    facts, aborted = drop(turn, "user continued")
    number, restarts = state.next_turn, 0
    if turn is not None:
        number = turn.number + 1 if turn.has_spoken else turn.number
        restarts = turn.restarts + 1
    due = around.now + debounce
    return (*facts, *void), aborted, LiveTurn(number, "waiting", first_at=around.now, due=due, restarts=restarts)


def _opens_turn(message: Message) -> bool:
    """A message without any words or content is recorded but not put to the bot."""
    return bool(message.parts) and (bool(message.text.strip()) or any(p.type != "text" for p in message.parts))


def edited(state: CallState, turn: LiveTurn | None, edit: UserEdit) -> Step:
    """An edit changes the record and the bot's memory of it; it is not a second question."""
    id_ = state.message_id(edit.target)
    return Step((UserEdited(id=id_, target=edit.target, text=edit.message.text, message=edit.message),), (), turn)


def revoked(state: CallState, turn: LiveTurn | None, revoke: UserRevoke, around: Around) -> Step:
    """A message that its author deleted is not answered; a turn that answers nothing else is over. A program that has
    the turn is asked again only when it was to reply to that message: else it would answer the newest one twice."""
    id_ = state.message_id(revoke.target)
    fact = UserRevoked(id=id_, target=revoke.target)
    if turn is None or id_ not in state.unanswered:
        return Step((fact,), (), turn)
    if state.offered is not None and id_ != state.newest:
        rest = tuple(each for each in turn.answers if each != id_)
        return Step((fact,), (), replace(turn, answers=rest))
    facts, effects = drop(turn, "user deleted the message")
    facts = (*facts, *taken_back(state), fact)
    if len(state.unanswered) == 1:
        return Step(facts, effects, None)
    return Step(facts, effects, again(turn, around.now))


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

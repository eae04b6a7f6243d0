"""Between a call's log and its document: the state out of what the store has, the document out of the state."""

from __future__ import annotations

from omni.model.call import Call, Snapshot
from omni.store.base import Loaded
from sessions.fold import fold_all
from sessions.state import CallState


def state_of(loaded: Loaded) -> CallState:
    """The fold of a call's log, from its newest snapshot on."""
    call = loaded.call
    if loaded.snapshot is not None:
        state = CallState.model_validate_json(loaded.snapshot.state)
    else:
        state = CallState(
            id=call.id,
            org=call.org,
            agent=call.agent,
            channel=call.channel,
            transport=call.transport,
            conversation=call.conversation,
            contact=call.contact,
            home=call.home,
        )
    state = fold_all(state, loaded.entries)
    if call.contact != state.contact and call.last_seq >= state.seq:  # the person's record was merged into another
        state = state.model_copy(update={"contact": call.contact})
    return state


def snapshot_of(state: CallState) -> Snapshot:
    return Snapshot(seq=state.seq, state=state.model_dump_json(exclude_none=True))  # a part's `type` is a default


def document_of(state: CallState, wake_at: float | None) -> Call:
    """The Call document that shows a state."""
    return Call(
        id=state.id,
        org=state.org,
        agent=state.agent,
        channel=state.channel,
        transport=state.transport,
        conversation=state.conversation,
        contact=state.contact,
        home=state.home,
        name=state.name,
        direction=state.direction,
        is_open=state.is_open,
        is_ringing=state.is_ringing,
        recording=state.recording,
        started_at=state.started_at,
        ended_at=state.ended_at,
        reason=state.reason,
        handler=state.handler,
        handled_by=state.handled_by,
        waiting_since=state.waiting_since,
        last_seq=state.seq,
        last_user_at=state.last_user_at,
        last_text=state.last_text,
        last_from=state.last_from,
        window_closes_at=state.window_closes_at,
        handoff_reason=state.handoff_reason,
        handoffs=state.handoffs,
        first_user_at=state.first_user_at,
        first_answer_at=state.first_answer_at,
        first_human_at=state.first_human_at,
        last_at=state.last_activity,
        user_messages=state.user_messages,
        bot_messages=state.bot_messages,
        human_messages=state.human_messages,
        failed=state.failed,
        wake_at=wake_at,
    )

"""What the connected program changes about a call: what the model remembers, its prompt, its settings."""

from __future__ import annotations

from dataclasses import replace

from omni.model.entry import CallConfigured, ContextAdded, Fact, HistoryChanged, PromptChanged, VarsChanged
from omni.model.inbound import Configure, EditHistory, SetContext
from sessions.memory import cleaned
from sessions.state import CallState, Context
from sessions.steps import Around, LiveTurn, Reply, Step

MAX_CONTEXT = 16_384
"""Characters of one context, and of everything a visitor's page has set."""


def edit_history(turn: LiveTurn | None, edit: EditHistory) -> Step:
    """Read or change the memory; whoever asked is told how it is afterwards."""
    effects = (Reply(edit.ask, shows_history=edit.act == "get"),) if edit.ask is not None else ()
    return Step(_edits(edit), effects, turn)


def _edits(edit: EditHistory) -> tuple[Fact, ...]:
    match edit.act:
        case "get":
            return ()
        case "prompt":
            return (PromptChanged(prompt=edit.prompt or ""),)
        case "vars":
            return (VarsChanged(vars=edit.vars),)
        case "context":
            return (ContextAdded(text=(edit.text or "")[:MAX_CONTEXT]),) if edit.text else ()
        case "clear":
            return (HistoryChanged(act="clear"),)
        case "add":
            messages = cleaned(edit.messages)
            return (HistoryChanged(act="add", messages=messages),) if messages else ()
        case "set":
            return _replaced(edit)


def _replaced(edit: EditHistory) -> tuple[Fact, ...]:
    """A leading system message is the prompt, so that what was read can be written back."""
    messages = cleaned(edit.messages)
    if messages and messages[0]["role"] == "system":
        prompt = PromptChanged(prompt=str(messages[0]["content"]))
        return (prompt, HistoryChanged(act="set", messages=messages[1:]))
    return (HistoryChanged(act="set", messages=messages),)


def set_context(state: CallState, turn: LiveTurn | None, change: SetContext) -> Step:
    """Context under a key. All that a page has set is bounded: what does not fit is left out."""
    text = change.text[:MAX_CONTEXT] if change.text is not None else None
    if (
        change.by == "page"
        and text is not None
        and _page_size(state.contexts, change.context) + len(text) > MAX_CONTEXT
    ):
        return Step(turn=turn)
    if text is None and not any((c.key, c.by) == (change.context, change.by) for c in state.contexts):
        return Step(turn=turn)
    return Step((ContextAdded(key=change.context, text=text, by=change.by),), (), turn)


def _page_size(contexts: tuple[Context, ...], but: str) -> int:
    return sum(len(c.text) for c in contexts if c.by == "page" and c.key != but)


def configure(turn: LiveTurn | None, change: Configure, around: Around) -> Step:
    """Settings of this call alone, from its next generation on. With another brain, that is who answers what the
    program was asked."""
    effects = (Reply(change.ask),) if change.ask is not None else ()
    if turn is not None and turn.phase == "offered" and change.overrides.brain is not None:
        turn = replace(turn, due=around.now)
    return Step((CallConfigured(overrides=change.overrides),), effects, turn)

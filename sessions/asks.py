"""Those who asked something of a call and wait for what comes of it: each hears of it, also when the first answer was
lost on its way."""

from __future__ import annotations

from collections.abc import Sequence

from omni.live.told import Answered
from omni.model.inbound import Ask, ToCall
from sessions.briefing import prompt_of
from sessions.history import lines_for
from sessions.mail import Mail
from sessions.party import Party
from sessions.state import CallState
from sessions.steps import Around, Happening, Reply
from sessions.world import World

NO_SUCH_CALL = "call_not_found"


class Asks:
    """One conversation's answers. Best effort: whoever hears nothing asks again."""

    def __init__(self, world: World, party: Party) -> None:
        self._world = world
        self._party = party

    async def answer(self, replies: Sequence[tuple[Reply, CallState]]) -> None:
        """What came of a step; each is told of the call as their own input left it."""
        for reply, state in replies:
            await self._outcome(reply, state)

    async def answer_again(self, repeats: Sequence[Mail], state: CallState | None) -> None:
        """Whoever waits for an input that acted before may not have heard of it. `state` is the call by now."""
        for mail in repeats:
            ask = _ask_of(mail.happening)
            if state is None or not is_about(mail, state.id):
                await self._nothing_came_of(mail)
            elif ask is not None:
                await self._outcome(Reply(ask), state)

    async def dismiss(self, mail: Mail, call: str | None) -> None:
        """Mail for another call than the one at hand: that has ended, and nothing came of it."""
        if call is None or not is_about(mail, call):
            await self._nothing_came_of(mail)

    async def _outcome(self, reply: Reply, state: CallState) -> None:
        """The memory as it is, for whoever read or changed it."""
        messages = _history_of(state, self._party.around(state), self._world)
        data = {"messages": messages, "count": len(messages)} if reply.shows_history else {"count": len(messages)}
        await self._world.answer(reply.ask.desk, Answered.model_validate({"id": reply.ask.id, "data": data}))

    async def _nothing_came_of(self, mail: Mail) -> None:
        ask = _ask_of(mail.happening)
        if ask is not None:
            await self._world.answer(ask.desk, Answered(id=ask.id, error=NO_SUCH_CALL))


def is_about(mail: Mail, call: str) -> bool:
    """False for an input that names another call."""
    return not isinstance(mail.happening, ToCall) or mail.happening.call == call


def _ask_of(happening: Happening) -> Ask | None:
    """Who waits for an input's outcome, if anybody does."""
    return getattr(happening, "ask", None)


def _history_of(state: CallState, around: Around, world: World) -> list[dict[str, object]]:
    """The conversation as models read it: the rendered prompt first, in the OpenAI chat shape."""
    prompt = prompt_of(state, around.agent, world.render, around.now)
    system = [{"role": "system", "content": prompt}] if prompt else []
    return [*system, *(line.wire() for line in lines_for(state, ()))]

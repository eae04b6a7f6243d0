"""The `llm` brain: any endpoint that speaks OpenAI's streaming chat completions.

A turn is a few rounds: the model answers or calls tools, the tools' results go back, until it answers. Each round is
tried at the agent's endpoints in their order. When a stream breaks off in the middle, the round is asked again and a
`Restart` tells the caller to forget the piece; a message that was complete (`Break`) stays said.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue

from omni.model.agent import Agent
from omni.telemetry.metrics import BRAIN_ERRORS
from sessions.brains.asking import Asking
from sessions.brains.base import (
    BrainError,
    Break,
    Chunk,
    HandOver,
    Line,
    Restart,
    Say,
    ToolCall,
    ToolOutcome,
    Turn,
)
from sessions.brains.context import cut_to, tokens_in, trim
from sessions.brains.endpoint import AttemptError, Endpoint, LlmDefaults, endpoints_of, pause_before_retry

if TYPE_CHECKING:
    import openai

    from sessions.brains.completion import Completion

log = logging.getLogger(__name__)

HAND_OVER: Final = "hand_over_to_human"
_HAND_OVER_TOOL: Final = {
    "type": "function",
    "function": {
        "name": HAND_OVER,
        "description": (
            "Hand this conversation over to a human colleague and stop answering. Use it when the person asks for a "
            "human, or when you cannot help."
        ),
        "parameters": {
            "type": "object",
            "properties": {"reason": {"type": "string", "description": "Why, in a few words, for the colleague."}},
        },
    },
}
_OURS: Final = frozenset({"model", "messages", "stream", "tools", "n"})


class LlmBrain:
    """One serves all agents of a process: connections are kept by address and key until `close`.

    `backoff` is the first pause between two attempts in seconds; `chance` gives random numbers from 0 to 1.
    """

    def __init__(
        self, defaults: LlmDefaults, *, backoff: float = 0.5, chance: Callable[[], float] = random.random
    ) -> None:
        self._defaults = defaults
        self._backoff = backoff
        self._chance = chance
        self._clients: dict[tuple[str, str], openai.AsyncOpenAI] = {}
        self._connecting = asyncio.Lock()

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        agent = turn.agent
        endpoints = endpoints_of(agent, self._defaults)
        past = [*turn.history, Line(role="user", content=turn.text)]
        rounds: list[Line] = []
        has_said = False
        for number in range(agent.llm.tool_rounds + 1):
            tools = _tools(agent) if number < agent.llm.tool_rounds else []
            request = _request(agent, _context(turn, past, rounds, tools), tools)
            completion: Completion | None = None
            async with aclosing(self._round(agent, endpoints, request, may_be_empty=has_said)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Say | Restart):
                        yield chunk
                    else:
                        completion = chunk
            assert completion is not None
            if not tools or not completion.tool_calls:
                return
            for call in completion.tool_calls:
                if call.name == HAND_OVER:
                    yield HandOver(_reason(call))
                    return
            if completion.text:
                has_said = True
                yield Break()
            calls = _with_own_ids(completion.tool_calls, turn, rounds, number)
            rounds.append(Line(role="assistant", content=completion.text, tool_calls=calls))
            outcomes = await _use(turn, calls)
            if all(outcome.is_final for outcome in outcomes):
                return
            rounds.extend(_results(turn, calls, outcomes))

    async def _round(
        self, agent: Agent, endpoints: list[Endpoint], request: dict[str, Any], *, may_be_empty: bool
    ) -> AsyncGenerator[Say | Restart | Completion, None]:
        """Ask the endpoints in turn until one has answered. One that gave up is not asked again in this turn."""
        problems: list[str] = []
        while endpoints:
            endpoint = endpoints[0]
            failures = 0
            while True:
                said = False
                failure: AttemptError
                try:
                    async with aclosing(self._ask(agent, endpoint, request)) as parts:
                        async for part in parts:
                            if isinstance(part, str):
                                said = True
                                yield Say(part)
                                continue
                            if not (part.text.strip() or part.tool_calls or may_be_empty):
                                raise AttemptError(
                                    f"gave an empty answer ({part.finish_reason})", reason="empty", may_retry=True
                                )
                            yield part
                            return
                except AttemptError as error:
                    failure = error
                failures += 1
                BRAIN_ERRORS.labels(brain="llm", reason=failure.reason).inc()
                problems.append(f"{endpoint} {failure}")
                log.warning("%s %s", endpoint, failure, extra={"agent": agent.slug})
                if said:
                    yield Restart()
                if failures > agent.llm.retries or (failure.was_slow and len(endpoints) > 1):
                    break
                pause = pause_before_retry(failure, failures, backoff=self._backoff, chance=self._chance())
                if pause is None:
                    break
                await asyncio.sleep(pause)
            del endpoints[0]
        raise BrainError(f"no model answered agent {agent.slug!r}: {'; '.join(problems)}")

    async def _ask(
        self, agent: Agent, endpoint: Endpoint, request: dict[str, Any]
    ) -> AsyncGenerator[str | Completion, None]:
        client = await self._client(endpoint)
        from sessions.brains.completion import complete  # loaded by now

        asking = Asking(endpoint)
        try:
            async with aclosing(
                complete(
                    client,
                    endpoint,
                    request,
                    first_token=agent.llm.first_token_timeout,
                    total=agent.llm.timeout,
                    headers=asking.headers,
                )
            ) as parts:
                async for part in parts:
                    asking.heard(part)
                    yield part
        except AttemptError as error:
            asking.span.fail(error.reason)
            raise
        finally:
            asking.span.end()

    async def _client(self, endpoint: Endpoint) -> openai.AsyncOpenAI:
        key = (endpoint.base_url, endpoint.api_key.get_secret_value() if endpoint.api_key else "")
        if key not in self._clients:
            async with self._connecting:
                if key not in self._clients:
                    self._clients[key] = await asyncio.to_thread(_connect, endpoint)
        return self._clients[key]

    async def close(self) -> None:
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()


def _connect(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """In a thread: the import of `openai` takes half a second, and TLS roots are read from disk."""
    client: openai.AsyncOpenAI = importlib.import_module("sessions.brains.completion").connect(endpoint)
    return client


def _tools(agent: Agent) -> list[dict[str, Any]]:
    own = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in agent.tools
        if tool.name != HAND_OVER
    ]
    return [*own, _HAND_OVER_TOOL]


def _context(
    turn: Turn, past: Sequence[Line], rounds: Sequence[Line], tools: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The messages of a request. The system prompt, what the turn answers and its tool rounds are always among them."""
    agent = turn.agent
    room = agent.context_tokens - tokens_in(turn.prompt) - tokens_in(json.dumps(tools))
    kept = trim([*past, *rounds], max_messages=agent.context_window, max_tokens=room)
    system = [{"role": "system", "content": turn.prompt}] if turn.prompt.strip() else []
    return [*system, *(line.wire() for line in kept)]


def _request(agent: Agent, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    request: dict[str, Any] = {name: value for name, value in agent.llm.extra.items() if name not in _OURS}
    request["messages"] = messages
    if agent.llm.temperature is not None:
        request["temperature"] = agent.llm.temperature
    if agent.llm.max_tokens is not None:
        request["max_tokens"] = agent.llm.max_tokens
    if tools:
        request["tools"] = tools
    return request


def _with_own_ids(calls: Sequence[ToolCall], turn: Turn, rounds: Sequence[Line], number: int) -> tuple[ToolCall, ...]:
    """Calls whose ids are unlike any other of the conversation: the log finds a call's result by its id.

    A made id has nine letters and digits, which is what the strictest servers take.
    """
    taken = {call.id for line in (*turn.history, *rounds) for call in line.tool_calls} | {""}
    named: list[ToolCall] = []
    for n, call in enumerate(calls):
        id_ = call.id if call.id not in taken else f"t{turn.number % 10_000:04}{number:02}{n:02}"
        taken.add(id_)
        named.append(call if id_ == call.id else call.model_copy(update={"id": id_}))
    return tuple(named)


async def _use(turn: Turn, calls: Sequence[ToolCall]) -> list[ToolOutcome]:
    """Run a round's tools side by side; their outcomes in the order of the calls."""
    if len(calls) == 1:
        return [await _use_one(turn, calls[0])]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_use_one(turn, call)) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # TurnOverError: whoever raised it first, the turn is over
    return [task.result() for task in tasks]


def _results(turn: Turn, calls: Sequence[ToolCall], outcomes: Sequence[ToolOutcome]) -> list[Line]:
    room = turn.agent.context_tokens // 2 // len(calls)
    return [
        Line(role="tool", content=cut_to(_words(outcome), room), tool_call_id=call.id)
        for call, outcome in zip(calls, outcomes, strict=True)
    ]


async def _use_one(turn: Turn, call: ToolCall) -> ToolOutcome:
    if turn.agent.tool(call.name) is None:
        known = ", ".join(tool.name for tool in turn.agent.tools) or "none"
        return ToolOutcome(f"There is no tool {call.name[:64]!r}. The tools are: {known}.", is_error=True)
    try:
        arguments: JsonValue = json.loads(call.arguments.strip() or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return ToolOutcome(f"The arguments were not valid JSON ({error}). Call the tool again.", is_error=True)
    if not isinstance(arguments, dict):
        return ToolOutcome("The arguments must be a JSON object. Call the tool again.", is_error=True)
    return await turn.use_tool(call.id, call.name, arguments)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _words(outcome: ToolOutcome) -> str:
    text = outcome.result if isinstance(outcome.result, str) else json.dumps(outcome.result, ensure_ascii=False)
    return f"Error: {text}" if outcome.is_error else text


def _reason(call: ToolCall) -> str | None:
    """Why the model hands over; words that are not in order do not keep anybody from a person."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    reason = arguments.get("reason") if isinstance(arguments, dict) else None
    return reason[:500] if isinstance(reason, str) and reason.strip() else None

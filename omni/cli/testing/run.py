"""One test: a conversation between a judge and an agent, up to a verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from omni.cli.address import Address
from omni.cli.chat.client import AgentError, ChatError, Conversation, Reply, connected
from omni.cli.testing.judging import Judge, JudgeError, Verdict
from omni.cli.testing.models import RULES, endpoint, override
from omni.cli.testing.rules import RuleJudge
from omni.cli.testing.spec import Spec

NO_VOICE = "voice mode needs a voice channel, which this server does not have; write `mode: chat` to test it by text"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the judge said, and what the agent answered."""

    said: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a test. `error` is why there is no verdict, if there is none."""

    file: Path
    agent: str
    description: str
    has_passed: bool
    summary: str
    turns: tuple[Exchange, ...] = ()
    seconds: float = 0.0
    error: str | None = None


Tell = Callable[[Exchange], None]


async def run(
    file: Path,
    spec: Spec,
    address: Address,
    *,
    judge: str | None,
    tell: Tell,
    variables: Mapping[str, str] = os.environ,
) -> Result:
    """`judge` is what `--judge` said. `tell` hears of every exchange when it is over. Never raises: whatever hinders a
    test makes it fail."""
    began = time.monotonic()
    turns: list[Exchange] = []

    def told(exchange: Exchange) -> None:
        turns.append(exchange)
        tell(exchange)

    try:
        verdict = await _verdict(spec, address, judge, told, variables)
    except (ChatError, JudgeError) as error:
        result = failure(file, spec.agent, spec.description, str(error))
    else:
        result = Result(file, spec.agent, spec.description, verdict.has_passed, verdict.summary)
    return replace(result, turns=tuple(turns), seconds=time.monotonic() - began)


def failure(file: Path, agent: str, description: str, why: str) -> Result:
    """A test that could not come to a verdict."""
    return Result(file, agent, description, has_passed=False, summary=why, error=why)


async def _verdict(
    spec: Spec, address: Address, typed: str | None, tell: Tell, variables: Mapping[str, str]
) -> Verdict:
    if spec.mode == "voice":
        raise JudgeError(NO_VOICE)
    judge = _judge(spec, typed, variables)
    try:
        async with connected(address) as client:
            return await _converse(judge, client.conversation(spec.agent, prefix="test"), spec.timeout, tell)
    finally:
        await judge.close()


async def _converse(judge: Judge, conversation: Conversation, timeout: float, tell: Tell) -> Verdict:
    reply: Reply | None = None
    while True:
        step = await judge.next(reply)
        if isinstance(step, Verdict):
            return step
        try:
            reply = await conversation.ask(step.text, timeout)
        except AgentError:
            tell(Exchange(step.text, Reply("")))
            raise
        tell(Exchange(step.text, reply))


def _judge(spec: Spec, typed: str | None, variables: Mapping[str, str]) -> Judge:
    """The rules of `turns`, where the spec has them and no model was asked for; else a model."""
    if typed == RULES or (typed is None and spec.turns):
        if not spec.turns:
            raise JudgeError(f"--judge {RULES} needs `turns:` in the spec; without them a model must judge")
        return RuleJudge(spec.turns)
    if spec.workflow is None:
        raise JudgeError("a model needs a `workflow:` to judge by, and the spec has only `turns:`")
    model = endpoint(override(typed, spec.judge) if typed else spec.judge, variables)
    from omni.cli.testing.llm import LlmJudge

    today = date.today()  # noqa: DTZ011 - as whoever runs the test has it
    return LlmJudge(model, spec.agent, spec.workflow, spec.judge.max_turns, today)

"""The `webhook` brain: one POST a turn, whose answer is said as it comes.

Whatever goes wrong, the call goes on: what was said by then counts, and a server that says nothing is silence (or the
`fallback` of the agent's `webhook`). A request is never repeated. Closing the generator hangs up on the server at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

from omni.access.webhooks import signed_headers
from omni.model.agent import Agent
from omni.model.call import SOUND
from omni.model.ids import NewId, new_id
from omni.outgoing.errors import OutgoingError
from omni.outgoing.http import Answer, OutgoingHttp, host_of
from omni.store.base import StoreError
from omni.telemetry import tracing
from omni.telemetry.metrics import BRAIN_ERRORS
from sessions.brains.base import BrainError, Chunk, Say, Spoken, Turn
from sessions.brains.webhook.acts import WRITTEN, Acts
from sessions.brains.webhook.address import Address, Endpoints, address_of, no_endpoints, registered
from sessions.brains.webhook.envelope import MediaLink, providers_link, request_body
from sessions.brains.webhook.joining import Joining
from sessions.brains.webhook.ndjson import reader_for, slices
from sessions.brains.webhook.record import EVENT, KEPT_REPLY, NoTurnLog, TurnLog, TurnRecord
from sessions.brains.webhook.reply import Reply

log = logging.getLogger("omni.webhook_brain")

WHOLE_TURN: Final = 300.0
"""Seconds from the request to the last byte that is waited for."""
LEFTOVER: Final = 0.02
"""Seconds for the end of a stream after its closing object, so that its connection can be used again."""
SENTENCE_ENDS: Final = (".", "!", "?", "…", "。", "！", "？")
"""Where a text of the answer ends so, it is spoken at once; else a model may be writing token by token, and the voice
waits a moment for the rest of a word."""
MAX_WORDS: Final = 100_000
"""Characters of one answer."""


@dataclass(slots=True)
class _Outcome:
    """What came of the request so far."""

    status: int | None = None
    error: str | None = None
    reason: str = "failed"
    reply: bytearray = field(default_factory=bytearray)
    notes: list[str] = field(default_factory=list)

    def fail(self, error: str, reason: str) -> None:
        self.error, self.reason = error, reason

    def keep(self, piece: bytes) -> None:
        if len(self.reply) < KEPT_REPLY:
            self.reply += piece[: KEPT_REPLY - len(self.reply)]


class WebhookBrain:
    """One serves all agents of a process. `endpoints` finds registered addresses, `turns` keeps records of requests,
    `link` makes addresses of files; `whole_turn` is the limit of a turn in seconds."""

    def __init__(
        self,
        http: OutgoingHttp,
        endpoints: Endpoints = no_endpoints,
        *,
        turns: TurnLog | None = None,
        link: MediaLink = providers_link,
        clock: Callable[[], float] = time.time,
        make_id: NewId = new_id,
        whole_turn: float = WHOLE_TURN,
    ) -> None:
        self._http = http
        self._endpoints = endpoints
        self._turns = turns or NoTurnLog()
        self._link = link
        self._clock = clock
        self._make_id = make_id
        self._whole_turn = whole_turn

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        """Nobody is asked before the person has said something."""
        if not turn.messages:
            return
        found = await self._look_up(turn)
        if found is None:
            return
        address, past = found
        began, delivery = self._clock(), self._make_id("whd")
        body = request_body(address.dialect, turn, past, id_=delivery, now=began, link=self._link)
        outcome, speech, acts = _Outcome(), Joining(), Acts()
        is_spoken = turn.setting.transport in SOUND
        said = 0
        was_cut = True
        try:
            async with aclosing(self._replies(address, body, delivery, outcome)) as replies:
                async for reply in replies:
                    acts.take(reply)
                    if words := speech.add(reply.text)[: MAX_WORDS - said]:
                        said += len(words)
                        yield Say(words, is_whole=is_spoken and words.rstrip().endswith(SENTENCE_ENDS))
            was_cut = False
            if words := speech.end()[: MAX_WORDS - said]:
                said += len(words)
                yield Say(words)
            if said >= MAX_WORDS:
                outcome.notes.append(f"the answer was cut at {MAX_WORDS:,} characters")
            has_spoken = said > 0
            for chunk in acts.chunks(turn.setting, turn.agent, has_spoken=has_spoken):
                has_spoken = True
                yield chunk
            if not has_spoken and address.fallback:
                yield Say(address.fallback)
        finally:
            outcome.notes += acts.notes
            took = round(max(0.0, self._clock() - began) * 1000)
            self._tell(turn, address, outcome)
            self._turns.note(_record(turn, address, outcome, delivery, body, began, took, was_cut=was_cut))

    async def hears_texts_of(self, agent: Agent) -> bool:
        """Whether a registered endpoint of AgentPhone's dialect is told of what is written to an agent, and answers it
        by sending messages. Raises BrainError."""
        try:
            found = registered(await self._endpoints(agent.org), agent, in_writing=True)
        except StoreError as error:
            raise BrainError(f"who answers for the agent {agent.slug!r} cannot be looked up: {error}") from error
        return found is not None and found.dialect == "agentphone"

    async def _look_up(self, turn: Turn) -> tuple[Address, Sequence[Spoken]] | None:
        try:
            address = await address_of(turn.agent, self._endpoints, in_writing=turn.setting.transport in WRITTEN)
            return None if address is None else (address, await turn.past(address.context_limit))
        except StoreError as error:
            raise BrainError(f"the webhook of agent {turn.agent.slug!r} was not asked: {error}") from error

    async def _replies(
        self, address: Address, body: bytes, delivery: str, outcome: _Outcome
    ) -> AsyncGenerator[Reply, None]:
        """The objects of the answer up to the one that closes the turn, each as soon as it is here."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._whole_turn
        headers = signed_headers(
            address.dialect, address.secret, body, event=EVENT, delivery=delivery, at=int(self._clock())
        )
        headers["Accept"] = "application/x-ndjson, application/json"
        until = min(loop.time() + address.timeout_s, ends)
        span = _asking(address)
        if span.traceparent is not None:
            headers[tracing.HEADER] = span.traceparent
        async with AsyncExitStack() as stack:
            stack.callback(_asked, span, outcome)
            try:
                async with asyncio.timeout_at(until):
                    answer = await stack.enter_async_context(
                        self._http.request("POST", address.url, headers=headers, body=body)
                    )
                outcome.status = answer.status
                if not answer.is_success:
                    outcome.fail(_refusal(answer), f"status_{answer.status // 100}xx")
                    await self._keep_beginning(answer, outcome)
                    return
                reader = reader_for(answer.media_type)
                outcome.notes = reader.notes
                while True:
                    async with asyncio.timeout_at(until):
                        piece = await answer.piece()
                    outcome.keep(piece)
                    for part in slices(piece):
                        for reply in reader.feed(part) if part else reader.end():
                            yield reply
                            if reply.closes:
                                await self._finish_reading(answer)
                                return
                        if reader.problem is not None:
                            break
                        if len(part) < len(piece):
                            await asyncio.sleep(0)  # other conversations have their turn
                    if reader.problem is not None:
                        outcome.fail(reader.problem, "garbage")
                    if not piece or reader.problem is not None:
                        return
                    until = min(loop.time() + address.timeout_s, ends)
            except TimeoutError:
                outcome.fail("timeout", "timeout")
            except OutgoingError as error:
                outcome.fail(str(error), error.reason)

    async def _keep_beginning(self, answer: Answer, outcome: _Outcome) -> None:
        with suppress(TimeoutError, OutgoingError):
            async with asyncio.timeout(1):
                outcome.keep(await answer.beginning(KEPT_REPLY))

    async def _finish_reading(self, answer: Answer) -> None:
        with suppress(TimeoutError, OutgoingError):
            async with asyncio.timeout(LEFTOVER):
                await answer.piece()

    def _tell(self, turn: Turn, address: Address, outcome: _Outcome) -> None:
        about = {"call": turn.call, "agent": turn.agent.slug}
        host = host_of(address.url)
        if outcome.error is not None:
            BRAIN_ERRORS.labels(brain="webhook", reason=outcome.reason).inc()
            log.warning("the webhook at %s gave no whole answer: %s", host, outcome.error, extra=about)
        if outcome.notes:
            log.warning("the webhook at %s: %s", host, "; ".join(outcome.notes[:5]), extra=about)

    async def close(self) -> None:
        """The connections are the client's, which closes itself."""


def _asking(address: Address) -> tracing.Span:
    attributes = {"http.request.method": "POST", "server.address": host_of(address.url)}
    return tracing.goes_on("POST", "client", attributes=attributes)


def _asked(span: tracing.Span, outcome: _Outcome) -> None:
    span.put("http.response.status_code", outcome.status)
    if outcome.error is not None:
        span.fail(outcome.reason)
    span.end()


def _refusal(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"answered {answer.status}, a redirect, which is not followed: the address must be the final one"
    return f"answered {answer.status}"


def _record(
    turn: Turn,
    address: Address,
    outcome: _Outcome,
    delivery: str,
    body: bytes,
    began: float,
    took: int,
    *,
    was_cut: bool,
) -> TurnRecord:
    setting = turn.setting
    return TurnRecord(
        id=delivery,
        org=turn.agent.org,
        agent=turn.agent.slug,
        endpoint=address.endpoint,
        call=turn.call,
        turn=turn.number,
        transport=setting.transport,
        message=setting.asked[-1] if setting.asked else None,
        body=body.decode(),
        at=began,
        ms=took,
        status=outcome.status,
        error=outcome.error,
        was_cut=was_cut,
        reply=bytes(outcome.reply).decode("utf-8", "replace"),
        notes=tuple(outcome.notes),
    )

"""One streaming chat completion: the request through the `openai` package, and the reading of what comes back.

The stream is read here and not by the package, so that every byte a server sends is bounded and checked.
Source: OpenAI API reference, "Chat completions: streaming"; server-sent events as in the HTML standard §9.2.6.
Importing this module imports `openai`, which takes half a second: do it in a thread.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import openai

from sessions.brains.base import ToolCall
from sessions.brains.endpoint import AttemptError, Endpoint, retry_after

MAX_TEXT: Final = 100_000
"""Characters of one answer, its tool arguments included."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of one stream; a token may come in some 300 bytes of JSON."""
MAX_EVENT: Final = 1024 * 1024
MAX_TOOL_CALLS: Final = 32
GRACE: Final = 0.5
"""Seconds that a finished stream may take to end, so that its connection can be used again."""
_NOT_A_STREAM: Final = ("text/html", "application/json", "application/xml", "image/")


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer. `finish_reason` in the API's words: stop, tool_calls, length, content_filter, …

    Ids of tool calls are the server's: some leave them out, or count from zero in every answer. `model` and the tokens
    are what the server says of them, if it does.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def connect(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """A client with a pool of connections. Retries and time limits are the caller's. Takes some 20 ms (TLS roots)."""
    key = endpoint.api_key.get_secret_value() if endpoint.api_key else "none"  # None would read the environment
    try:
        return openai.AsyncOpenAI(api_key=key, base_url=endpoint.base_url, max_retries=0, timeout=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise AttemptError(f"{endpoint.base_url!r} is not an address", reason="address") from error


async def complete(
    client: openai.AsyncOpenAI,
    endpoint: Endpoint,
    request: dict[str, Any],
    *,
    first_token: float,
    total: float,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[str | Completion, None]:
    """Yields text as it comes, and at last the whole Completion. Raises AttemptError.

    `first_token` and `total` are seconds from now. Closing the generator closes the connection at once.
    """
    loop = asyncio.get_running_loop()
    clock = _Clock(loop.time(), first_token, total)
    try:
        async with asyncio.timeout_at(clock.deadline):
            # `extra_body` replaces `messages`; given as an argument the package would walk through all of them.
            response = await client.chat.completions.with_streaming_response.create(
                model=endpoint.model, stream=True, extra_body=request, messages=[], extra_headers=headers
            ).__aenter__()
    except TimeoutError as error:
        raise clock.too_slow() from error
    except openai.APIStatusError as error:
        raise _refusal(error, endpoint) from error
    except openai.APIConnectionError as error:
        cause = error.__cause__
        why = str(cause) if isinstance(cause, httpx.ConnectError) else type(cause or error).__name__
        raise AttemptError(f"cannot be reached ({why})", reason="connect", may_retry=True) from error
    except (openai.OpenAIError, httpx.InvalidURL, ValueError) as error:
        raise AttemptError(
            f"cannot be asked ({type(error).__name__}); look at its address and its key", reason="address"
        ) from None  # the cause may quote the key
    try:
        kind = response.headers.get("content-type", "")
        if kind.startswith(_NOT_A_STREAM):
            raise AttemptError(
                f"did not answer with a stream but with {kind!r}; is its address right?", reason="garbage"
            )
        draft = _Draft()
        events = _Events()
        body = response.http_response.aiter_bytes()
        while (block := await _next(body, clock, draft)) is not None:
            for event in events.feed(block):
                said = draft.take(event, endpoint)
                clock.note(draft, loop.time())
                if said:
                    yield said
        yield draft.completion(kind)
    finally:
        await response.close()


@dataclass(slots=True)
class _Clock:
    """Until when the next bytes must come: the first token has a limit of its own, and so has the end."""

    started: float
    first_token: float
    total: float
    deadline: float = 0
    has_token: bool = False
    has_finished: bool = False

    def __post_init__(self) -> None:
        self.deadline = self.started + min(self.first_token, self.total)

    def note(self, draft: _Draft, now: float) -> None:
        if draft.is_begun and not self.has_token:
            self.has_token = True
            self.deadline = self.started + self.total
        if draft.finish_reason and not self.has_finished:
            self.has_finished = True
            self.deadline = now + GRACE

    def too_slow(self) -> AttemptError:
        if self.has_token:
            return AttemptError(f"did not finish within {self.total:g} s", reason="timeout", was_slow=True)
        limit = min(self.first_token, self.total)
        return AttemptError(
            f"said nothing within {limit:g} s", reason="first_token_timeout", may_retry=True, was_slow=True
        )


async def _next(body: AsyncIterator[bytes], clock: _Clock, draft: _Draft) -> bytes | None:
    """The next bytes; None when there are no more, or when no more are needed."""
    try:
        async with asyncio.timeout_at(clock.deadline):
            return await anext(body, None)
    except TimeoutError as error:
        if draft.finish_reason:
            return None
        raise clock.too_slow() from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        if draft.finish_reason:
            return None
        raise AttemptError("broke off in the middle of its answer", reason="cut", may_retry=True) from error


class _Events:
    """Server-sent events out of blocks of bytes that end anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The `data` of every event that is complete now."""
        self._size += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        if self._size > MAX_BYTES or len(self._rest) > MAX_EVENT:
            raise AttemptError("sent more than an answer can be", reason="too_long")
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._lines.append(line[5:])
            elif not line and self._lines:
                event = b"\n".join(self._lines).strip()
                self._lines.clear()
                yield event


@dataclass(slots=True)
class _CallDraft:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class _Draft:
    """The answer as far as it has come."""

    def __init__(self) -> None:
        self.is_begun = False
        self.finish_reason: str | None = None
        self._model: str | None = None
        self._tokens: tuple[int | None, int | None] = (None, None)
        self._text: list[str] = []
        self._calls: dict[int, _CallDraft] = {}
        self._size = 0

    def take(self, event: bytes, endpoint: Endpoint) -> str | None:
        """Add an event; returns the text in it."""
        if event == b"[DONE]":
            return None
        try:
            chunk = json.loads(event)
        except (ValueError, RecursionError) as error:
            raise _garbage("something that is not JSON") from error
        if not isinstance(chunk, dict):
            raise _garbage("a chunk that is not an object")
        if problem := chunk.get("error"):
            why = problem.get("message") if isinstance(problem, dict) else problem
            raise AttemptError(
                f"reported an error: {endpoint.hide_key(str(why))[:200]}", reason="server", may_retry=True
            )
        self._note(chunk)
        choices = chunk.get("choices")
        if not choices:  # a chunk of usage or of content filters
            return None
        if not isinstance(choices, list) or not isinstance(choices[0], dict):
            raise _garbage("choices that are not a list of objects")
        choice = choices[0]
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise _garbage("a delta that is not an object")
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.finish_reason = reason
        if delta.get("reasoning_content") or delta.get("reasoning"):
            self.is_begun = True
        if calls := delta.get("tool_calls"):
            self._take_calls(calls)
        text = delta.get("content") or delta.get("refusal")
        if not text:
            return None
        if not isinstance(text, str):
            raise _garbage("content that is not text")
        self._grow(text)
        self._text.append(text)
        return text

    def _note(self, chunk: dict[str, Any]) -> None:
        """What a server says of itself is not worth an error when it is odd."""
        if self._model is None and isinstance(model := chunk.get("model"), str):
            self._model = model[:200]
        if isinstance(usage := chunk.get("usage"), dict):
            read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
            self._tokens = (read if isinstance(read, int) else None, written if isinstance(written, int) else None)

    def _take_calls(self, deltas: object) -> None:
        if not isinstance(deltas, list):
            raise _garbage("tool calls that are not a list")
        for delta in deltas:
            function = delta.get("function") if isinstance(delta, dict) else None
            if not isinstance(function, dict):
                continue  # a tool of the server's own
            id_, name, arguments = delta.get("id"), function.get("name"), function.get("arguments")
            place = delta.get("index")
            if not isinstance(place, int):  # some servers send whole calls without a place
                place = len(self._calls) if id_ or name else len(self._calls) - 1
            call = self._calls.setdefault(place, _CallDraft())
            if len(self._calls) > MAX_TOOL_CALLS:
                raise _garbage(f"more than {MAX_TOOL_CALLS} tool calls at once")
            if isinstance(id_, str) and not call.id:
                call.id = id_
            if isinstance(name, str) and not call.name:
                call.name = name
            if isinstance(arguments, dict):
                arguments = json.dumps(arguments)
            if isinstance(arguments, str):
                self._grow(arguments)
                call.arguments.append(arguments)
            self.is_begun = True

    def _grow(self, text: str) -> None:
        self.is_begun = True
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise AttemptError(f"answered with more than {MAX_TEXT:,} characters", reason="too_long")

    def completion(self, content_type: str) -> Completion:
        if self.finish_reason is None:
            if not self.is_begun:
                raise AttemptError(
                    f"ended without an answer (content type {content_type[:60]!r})", reason="empty", may_retry=True
                )
            raise AttemptError("broke off in the middle of its answer", reason="cut", may_retry=True)
        calls = (self._calls[place] for place in sorted(self._calls))
        made = tuple(ToolCall(id=call.id, name=call.name, arguments="".join(call.arguments)) for call in calls)
        return Completion("".join(self._text), made, self.finish_reason, self._model, *self._tokens)


def _garbage(what: str) -> AttemptError:
    return AttemptError(f"sent {what}", reason="garbage", may_retry=True)


def _refusal(error: openai.APIStatusError, endpoint: Endpoint) -> AttemptError:
    status = error.status_code
    body = error.body if isinstance(error.body, dict) else {}
    why = endpoint.hide_key(str(body.get("message") or error.response.reason_phrase))[:200]
    match status:
        case 429:
            reason = "rate_limited"
        case 401 | 403:
            reason = "key"
        case _:
            reason = "server" if status >= 500 else "refused"
    return AttemptError(
        f"answered {status}: {why}",
        reason=reason,
        may_retry=(status in (408, 409, 429) or status >= 500) and body.get("code") != "insufficient_quota",
        retry_after=retry_after(error.response.headers, time.time()),
    )

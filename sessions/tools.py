"""Running an agent's tools: a POST to the tool's `url`, and what it answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Final

import aiohttp
from pydantic import JsonValue

from omni.model.agent import Agent
from omni.model.behaviour import Tool
from sessions.brains.base import ToolOutcome

log = logging.getLogger(__name__)

MAX_ANSWER: Final = 256 * 1024
"""Bytes a tool may answer."""
MAX_QUOTE: Final = 300
"""Characters of a refusal that the model gets to read."""


class ToolRunner:
    """Runs tools over HTTP. Its connections are opened when the first tool runs, and kept until `close`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def run(
        self, agent: Agent, call: Mapping[str, JsonValue], id_: str, name: str, arguments: JsonValue
    ) -> ToolOutcome:
        """POST `{"tool_call_id", "name", "arguments", "call"}` to the tool; its answer is any JSON, or text.

        Never raises for a tool that fails: the outcome is an error, and a sentence that a model can read.
        """
        tool = agent.tool(name)
        if tool is None:
            return _failed(f"There is no tool {name[:64]!r}.")
        if tool.url is None:
            return _failed(f"The tool {name!r} cannot run: give it a `url` under `tools` of the agent {agent.slug!r}.")
        if not isinstance(arguments, dict):
            return _failed(f"The tool {name!r} takes a JSON object of arguments.")
        missing = _missing(tool, arguments)
        if missing:
            return _failed(f"The tool {name!r} needs {', '.join(missing)}.")
        order: dict[str, JsonValue] = {"tool_call_id": id_, "name": name, "arguments": arguments, "call": dict(call)}
        try:
            outcome = await self._post(tool, order)
        except TimeoutError:
            outcome = _failed(f"The tool {name!r} did not answer within {tool.timeout:g} seconds.")
        except aiohttp.InvalidURL:
            outcome = _failed(f"The tool {name!r} cannot run: its `url` is not an address.")
        except aiohttp.ClientError as error:
            outcome = _failed(f"The tool {name!r} could not be reached ({type(error).__name__}).")
        if outcome.is_error:
            log.warning("%s", outcome.result, extra={"call": call.get("id"), "agent": agent.slug})
        return outcome

    async def _post(self, tool: Tool, order: dict[str, JsonValue]) -> ToolOutcome:
        assert tool.url is not None
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        limit = aiohttp.ClientTimeout(total=tool.timeout)
        async with self._session.post(tool.url, json=order, timeout=limit, allow_redirects=False) as answer:
            if 300 <= answer.status < 400:
                return _failed(
                    f"The tool {tool.name!r} answered {answer.status}, a redirect, which is not followed: "
                    "its `url` must be the final address."
                )
            body = await _read(answer)
            if body is None:
                return _failed(f"The tool {tool.name!r} answered more than {MAX_ANSWER // 1024} KiB.")
            if not 200 <= answer.status < 300:
                quote = body.decode("utf-8", "replace").strip()[:MAX_QUOTE]
                return _failed(f"The tool {tool.name!r} answered {answer.status}{f': {quote}' if quote else '.'}")
            return _parsed(tool.name, answer.content_type, body)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(answer: aiohttp.ClientResponse) -> bytes | None:
    """The body; None when it is too large."""
    body = bytearray()
    async for block in answer.content.iter_any():
        body += block
        if len(body) > MAX_ANSWER:
            answer.close()
            return None
    return bytes(body)


def _parsed(name: str, content_type: str, body: bytes) -> ToolOutcome:
    if not body.strip():
        return ToolOutcome(None)
    try:
        if content_type == "application/json" or content_type.endswith("+json"):
            return ToolOutcome(json.loads(body, parse_constant=_refuse_constant))
        return ToolOutcome(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return _failed(f"The tool {name!r} answered something that is not {content_type} in UTF-8.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _missing(tool: Tool, arguments: Mapping[str, JsonValue]) -> list[str]:
    """Names that the tool's schema requires and the model left out. The tool itself checks the rest."""
    required = tool.parameters.get("required")
    if not isinstance(required, list):
        return []
    return [name for name in required if isinstance(name, str) and name not in arguments]


def _failed(sentence: str) -> ToolOutcome:
    return ToolOutcome(sentence, is_error=True)

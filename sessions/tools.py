"""Running an agent's tools: a POST to the tool's `url`, or to the agent's `tool_url`, and what it answers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue, SecretStr

from omni.access.webhooks import signed_headers
from omni.model.agent import Agent
from omni.model.behaviour import Tool
from omni.model.ids import new_id
from omni.model.webhook import Dialect
from omni.outgoing.errors import AddressRefusedError, OutgoingError, TooLargeError, TooSlowError
from omni.outgoing.http import OutgoingHttp
from omni.store.base import StoreError
from sessions.brains.base import ToolOutcome
from sessions.brains.webhook.address import Endpoints, no_endpoints, registered

log = logging.getLogger(__name__)

MAX_ANSWER: Final = 256 * 1024
"""Bytes a tool may answer."""
EVENT: Final = "tool.call"
"""What the request is called in its headers."""
MAX_QUOTE: Final = 300
"""Characters of a refusal that the model gets to read."""


class ToolRunner:
    """Runs tools over HTTP. `endpoints` finds the secret that signs requests: the one of the agent's `webhook`, or of
    the endpoint that is registered for it. The connections are the client's."""

    def __init__(
        self, http: OutgoingHttp, endpoints: Endpoints = no_endpoints, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._http = http
        self._endpoints = endpoints
        self._clock = clock

    async def run(
        self, agent: Agent, call: Mapping[str, JsonValue], id_: str, name: str, arguments: JsonValue
    ) -> ToolOutcome:
        """POST `{"tool_call_id", "name", "arguments", "call"}` to the tool; its answer is any JSON, or text.

        Never raises for a tool that fails: the outcome is an error, and a sentence that a model can read.
        """
        tool = agent.tool(name)
        if tool is None:
            return _failed(f"There is no tool {name[:64]!r}.")
        url = tool.url or agent.tool_url
        if url is None:
            return _failed(
                f"The tool {name!r} cannot run: give it a `url` under `tools` of the agent {agent.slug!r}, or give the "
                "agent a `tool_url`."
            )
        if not isinstance(arguments, dict):
            return _failed(f"The tool {name!r} takes a JSON object of arguments.")
        missing = _missing(tool, arguments)
        if missing:
            return _failed(f"The tool {name!r} needs {', '.join(missing)}.")
        order: dict[str, JsonValue] = {"tool_call_id": id_, "name": name, "arguments": arguments, "call": dict(call)}
        outcome = await self._post(agent, tool, url, json.dumps(order).encode())
        if outcome.is_error:
            log.warning("%s", outcome.result, extra={"call": call.get("id"), "agent": agent.slug})
        return outcome

    async def _post(self, agent: Agent, tool: Tool, url: str, order: bytes) -> ToolOutcome:
        name = tool.name
        try:
            dialect, secret = await self._secret(agent)
            headers = signed_headers(dialect, secret, order, event=EVENT, delivery=new_id("del"), at=int(self._clock()))
            async with self._http.request("POST", url, headers=headers, body=order, timeout_s=tool.timeout) as answer:
                if 300 <= answer.status < 400:
                    return _failed(
                        f"The tool {name!r} answered {answer.status}, a redirect, which is not followed: "
                        "its `url` must be the final address."
                    )
                body = await answer.whole(MAX_ANSWER)
                if not answer.is_success:
                    quote = body.decode("utf-8", "replace").strip()[:MAX_QUOTE]
                    return _failed(f"The tool {name!r} answered {answer.status}{f': {quote}' if quote else '.'}")
                return _parsed(name, answer.media_type or "application/octet-stream", body)
        except TooSlowError:
            return _failed(f"The tool {name!r} did not answer within {tool.timeout:g} seconds.")
        except TooLargeError:
            return _failed(f"The tool {name!r} answered more than {MAX_ANSWER // 1024} KiB.")
        except AddressRefusedError as error:
            return _failed(f"The tool {name!r} cannot run, for its `url` is refused: {error}.")
        except OutgoingError as error:
            return _failed(f"The tool {name!r} could not be reached: {error}.")
        except StoreError:
            return _failed(f"The tool {name!r} cannot run now; try again in a moment.")

    async def _secret(self, agent: Agent) -> tuple[Dialect, SecretStr | None]:
        if agent.webhook is not None and agent.webhook.secret is not None:
            return agent.webhook.dialect, agent.webhook.secret
        found = registered(await self._endpoints(agent.org), agent)
        return ("omni", None) if found is None else (found.dialect, found.secret)


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

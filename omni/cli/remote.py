"""What a running server answers over HTTP to whoever shows an API key."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
from pydantic import Field, TypeAdapter, ValidationError

from omni.cli.address import Address
from omni.cli.opening import Failure
from omni.cli.show import said
from omni.model.base import Value

ANSWER_SECONDS: Final = 10.0
DIAL_SECONDS: Final = 30.0
"""Until a carrier has taken a call."""


class ConnectedAgent(Value):
    """An agent whose program is connected now."""

    slug: str
    voice: str | None = None
    model: str | None = None
    channels: dict[str, Any] = Field(default_factory=dict)


_AGENTS: Final = TypeAdapter(tuple[ConnectedAgent, ...])


async def connected_agents(address: Address) -> tuple[ConnectedAgent, ...]:
    """Raises Failure."""
    body = await get(address, "/api/sdk/agents")
    try:
        return _AGENTS.validate_python(body.get("agents"))
    except ValidationError:
        raise Failure(f"{address.url} answers, but not as an omni server does; is its address right?") from None


async def get(address: Address, path: str) -> dict[str, Any]:
    """The JSON object at a path of the server. Raises Failure."""
    status, body = await _ask(address, "GET", path)
    if status != 200 or body is None:
        raise _no_omni(address, path, status)
    return body


async def kick(address: Address, slug: str) -> None:
    """Have the server let the agent's program go. Raises Failure, in the server's words when it will not."""
    path = f"/api/sdk/agents/{slug}"
    status, body = await _ask(address, "DELETE", path)
    if status == 200 and body is not None and body.get("displaced") == slug:
        return
    refusal = body.get("error") if body is not None and body.get("success") is False else None
    raise Failure(said(refusal)) if isinstance(refusal, str) else _no_omni(address, path, status)


async def dial(address: Address, wanted: dict[str, object]) -> str:
    """Have the server call somebody (`POST /v1/calls`); returns the call's id. Raises Failure, in the server's words
    when it will not."""
    path = "/v1/calls"
    status, body = await _ask(address, "POST", path, wanted, seconds=DIAL_SECONDS)
    call = body.get("id") if body is not None else None
    if status == 201 and isinstance(call, str):
        return call
    error = body.get("error") if body is not None else None
    sentence = error.get("message") if isinstance(error, dict) else None
    raise Failure(said(sentence)) if isinstance(sentence, str) else _no_omni(address, path, status)


async def _ask(
    address: Address, method: str, path: str, content: object = None, *, seconds: float = ANSWER_SECONDS
) -> tuple[int, dict[str, Any] | None]:
    """Status, and body when it is a JSON object. Raises Failure when nobody answers, or the key is refused."""
    limit = aiohttp.ClientTimeout(total=seconds)
    status, body = 0, None
    headers = {"Authorization": f"Bearer {address.key}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers) as session,
            session.request(method, f"{address.url}{path}", json=content, allow_redirects=False) as answer,
        ):
            status = answer.status
            body = await answer.json(content_type=None)
    except ValueError:
        pass
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Failure(
            f"no server answers at {address.url}; start one (omni serve), or name another with --server"
        ) from None
    if status in (401, 403):
        raise Failure(f"{address.url} refuses the API key; `omni keys list` on the server shows the good ones")
    return status, body if isinstance(body, dict) else None


def _no_omni(address: Address, path: str, status: int) -> Failure:
    return Failure(f"{address.url}{path} answered {status}; is it an omni server?")

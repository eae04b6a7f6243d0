"""What a running server answers over HTTP to whoever shows an API key."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
from pydantic import Field, TypeAdapter, ValidationError

from omni.cli.address import Address
from omni.cli.opening import Failure
from omni.model.base import Value

ANSWER_SECONDS: Final = 10.0


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
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    status = 0
    headers = {"Authorization": f"Bearer {address.key}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers) as session,
            session.get(f"{address.url}{path}", allow_redirects=False) as answer,
        ):
            status = answer.status
            body = await answer.json(content_type=None)
    except ValueError:
        body = None
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Failure(
            f"no server answers at {address.url}; start one (omni serve), or name another with --server"
        ) from None
    if status in (401, 403):
        raise Failure(f"{address.url} refuses the API key; `omni keys list` on the server shows the good ones")
    if status != 200 or not isinstance(body, dict):
        raise Failure(f"{address.url}{path} answered {status}; is it an omni server?")
    return body

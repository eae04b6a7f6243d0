"""Tokens for pages, and the REST surfaces that an API key opens."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from omni.app.parts import Parts
from omni.gateway.management import Management
from omni.gateway.sdk_rest import SdkRest
from omni.gateway.tokens import TokenMint


async def access(parts: Parts, _: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings = parts.settings
    sdk = SdkRest(
        parts.access,
        parts.book,
        parts.presence,
        parts.engines.bus,
        default_model=settings.llm_model,
        tells_channels=settings.agent_info,
    )
    mint = TokenMint(parts.access, parts.book, parts.presence, settings.public_url)
    return [*mint.routes(), *sdk.routes(), *Management(parts.access, parts.engines.store).routes()]

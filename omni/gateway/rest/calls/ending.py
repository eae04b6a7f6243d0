"""A call is ended, and whoever asked learns truthfully what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from omni.gateway.rest.kit import RestKit
from omni.live.hub import SlowFollowerError
from omni.model.call import Call

WAIT_SECONDS: Final = 2.0


async def end_call(kit: RestKit, call: Call, by: str, reason: str = "hangup") -> Call:
    """The call once it has ended, or as it is after a while. Raises BusError and StoreError."""
    if not call.is_open:
        return call
    async with kit.hub.follow_conversation(call.org, call.agent, call.conversation) as news:
        await kit.commands.end(call, by, reason)
        with contextlib.suppress(TimeoutError, SlowFollowerError):
            async with asyncio.timeout(WAIT_SECONDS):
                async for _ in news:
                    now = await kit.store.call(call.id)
                    if now is None or not now.is_open:
                        break
    return await kit.store.call(call.id) or call

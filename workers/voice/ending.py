"""The end of a call: it is hung up at its carrier, its recording is kept, and its last entries are written."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from channels.audio import CarrierError
from sessions.steps import CallOver
from workers.voice.oncall import OnCall
from workers.voice.sides import Sides

log = logging.getLogger("omni.voice")

CARRIER_SECONDS: Final = 5.0


async def wind_up(call: OnCall, sides: Sides | None, reason: str, *, is_gone: bool) -> None:
    """`sides` is None where there was no sound. `is_gone`: its carrier needs no telling."""
    try:
        if not is_gone:
            await _hang_up(call)
        if sides is not None:
            kept = await sides.finish(call.services.blobs, call.place.org, call.id, call.at())
            if kept is not None:
                call.witnessed(kept)
    finally:
        if call.is_logged:  # else there is no log to end, or it is another call's
            summary = call.times.summary()
            call.log.post(CallOver(call.log.key(), reason, summary))


async def _hang_up(call: OnCall) -> None:
    carrier, channel = call.services.carriers.get(call.place.transport), call.channel
    if carrier is None or channel is None:
        return
    try:
        async with asyncio.timeout(CARRIER_SECONDS):
            await carrier.hang_up(channel, call.id)
    except (CarrierError, TimeoutError) as error:
        why = str(error) or "it does not answer"
        log.warning("the call %s may not have been ended at its carrier: %s", call.id, why)

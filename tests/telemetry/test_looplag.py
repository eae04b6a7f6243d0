from __future__ import annotations

import asyncio
import time

from omni.telemetry.looplag import LoopLag
from omni.telemetry.metrics import LOOP_LAG_SECONDS


async def test_a_loop_that_was_held_up_shows_it() -> None:
    lag = LoopLag(every=0.001)
    lag.start()
    LOOP_LAG_SECONDS.set(0)
    worst = 0.0
    while worst < 0.03:
        await asyncio.sleep(0)
        time.sleep(0.05)  # hold the loop up
        for _ in range(3):
            await asyncio.sleep(0)
            worst = max(worst, LOOP_LAG_SECONDS.collect()[0].samples[0].value)  # type: ignore[attr-defined]
    await lag.stop()
    await lag.stop()

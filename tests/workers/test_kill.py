"""A delivery worker that is killed at any instant: every piece is sent, in order, and twice only where the kill fell
between the claim and the record of the provider's answer; those are counted."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

from aiohttp import web

VICTIM = Path(__file__).with_name("victim.py")
CALLS, REPLIES, KILLS, SLOTS = 12, 10, 6, 8


async def test_killed_at_any_instant_every_reply_is_sent_in_order_and_duplicates_are_counted(stage):
    dice = random.Random(7)
    deliveries = []
    for turn in range(REPLIES):
        for call in range(CALLS):
            text = f"{turn}a|{turn}b" if turn % 5 == 4 else f"{turn}"
            deliveries.append(await stage.ask(text, f"wa-{call}"))
    await stage.bus.close()  # from here on the queues are the victims'
    trackers = {delivery.tracker(n) for delivery in deliveries for n in range(len(delivery.message.text.split("|")))}
    received: list[str] = []

    async def send(request):
        tracker = (await request.json())["tracker"]
        received.append(tracker)
        await asyncio.sleep(dice.random() / 200)  # a provider thinks
        return web.json_response({"id": f"wamid.{len(received)}"})

    app = web.Application()
    app.router.add_post("/send", send)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/send"

    async def run_and_kill(condition):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(VICTIM),
            str(stage.path),
            url,
            str(SLOTS),
            env={**os.environ, "PYTHONPATH": str(VICTIM.parents[2])},
        )
        try:
            await stage.until(condition, 30)
        finally:
            process.kill()
            await process.wait()

    async def all_sent():
        if not trackers <= set(received):
            return False
        records = [record for call in range(CALLS) for record in await stage.store.deliveries(f"wa-{call}")]
        return all(record.state == "sent" for record in records)

    for _ in range(KILLS):
        goal = min(len(received) + dice.randint(1, 20), len(trackers) - 1)
        await run_and_kill(lambda goal=goal: len(received) >= goal)
    await run_and_kill(all_sent)
    await runner.cleanup()
    await stage.bus.open()

    times = Counter(received)
    assert set(times) == trackers
    unclear = 0
    for delivery in deliveries:
        record = await stage.store.delivery(delivery.id)
        unclear += record.unclear
        extra = sum(times[delivery.tracker(n)] - 1 for n in range(record.pieces))
        assert extra <= record.unclear, "a piece was sent twice and nobody counted it"
    assert unclear <= KILLS * SLOTS
    for call in range(CALLS):
        wanted = [
            delivery.tracker(n)
            for delivery in deliveries
            if delivery.call == f"wa-{call}"
            for n in range(len(delivery.message.text.split("|")))
        ]
        assert [tracker for tracker in dict.fromkeys(received) if tracker in wanted] == wanted

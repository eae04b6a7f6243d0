"""omni's webhook and bus without anybody who consumes: what `--role gateway` does, on any engine, embedded ones too.

`python -m benchmark.gateway FILE` takes the same settings file as `omni serve`. The routes, the bus and the queues are
the server's own; sessions and deliveries are left out, so that acknowledging is all that the process does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from benchmark.floor import listen, run
from channels.whatsapp.directory import Directory
from channels.whatsapp.webhook import routes
from omni.app.engines import engines
from omni.cli.serve import spare_the_collector
from omni.model.queues import every_queue
from omni.settings import load


async def serve(file: Path) -> None:
    settings = await asyncio.to_thread(load, file)
    directory = Directory.of(settings.agents)
    async with engines(settings) as opened:
        await opened.bus.declare(every_queue(settings.partitions))
        app = web.Application()
        app.add_routes(routes(lambda: directory, opened.bus, settings.partitions))
        spare_the_collector()
        await listen(app, settings.port)


if __name__ == "__main__":
    run(serve(Path(sys.argv[1])))

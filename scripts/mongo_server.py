"""A server on a local port that speaks MongoDB's wire protocol: what the tests use where there is no `mongod`.

    .venv-mongo/bin/python scripts/mongo_server.py --port 27117 --file .services/mongodb.sqlite

Needs Python >= 3.13 and `mongoeco[wire]`, in an environment of their own (`make services` makes it). Only its SQLite engine
will do: the in-memory engine acknowledges writes that it loses when several clients race.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from mongoeco.engines import SQLiteEngine
from mongoeco.wire import AsyncMongoEcoProxyServer


async def serve(port: int, file: Path) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncMongoEcoProxyServer(engine=SQLiteEngine(str(file)), host="127.0.0.1", port=port) as server:
        print(server.address.uri, flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves MongoDB's wire protocol from a SQLite file, for tests.")
    parser.add_argument("--port", type=int, default=27117)
    parser.add_argument("--file", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.file))


if __name__ == "__main__":
    main()

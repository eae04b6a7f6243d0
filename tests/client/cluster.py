"""Two gateways, a session worker and a delivery worker on RabbitMQ and MongoDB: each a server of its own, as processes
are, and one of the gateways a process indeed, where it is to be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import yaml

from channels.whatsapp.simulator import Simulator, StatusPlan, WebhookPlan, running
from omni.app.server import Server
from omni.settings import Role, Settings, load
from tests.client.program import KEY, Program
from tests.ports import free_ports
from tests.server.shop import NUMBER, OURS, ROOT, SECRETS, simulator_settings, until

ROLES = {"session": "session", "delivery": "delivery", "a": "gateway", "b": "gateway"}


@dataclass
class Cluster:
    """`a` and `b` are the gateways; WhatsApp's webhooks go to `b`."""

    folder: Path
    settings: Settings
    ports: dict[str, int]
    http: aiohttp.ClientSession
    simulator: Simulator
    stack: AsyncExitStack
    servers: dict[str, Server] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    said: str = ""

    async def start(self, name: str) -> None:
        settings = self.settings.model_copy(update={"port": self.ports[name]})
        server = self.servers[name] = Server(settings, cast("Role", ROLES[name]))
        await server.start()

    async def stop(self, name: str) -> None:
        await self.servers.pop(name).stop()

    async def spawn(self) -> None:
        """Gateway `a` as a process."""
        variables = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omni", "serve", "--role", "gateway", "--port", str(self.ports["a"]),
            cwd=self.folder, env={**variables, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await until(self._answers)

    async def _answers(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError((await self.process.communicate())[0].decode())
        try:
            async with self.http.get(f"{self.url('a')}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """As a machine dies: without a word."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            self.said += (await process.communicate())[0].decode()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    async def program(self, name: str) -> Program:
        program = await Program.connect(self.http, self.url(name))
        self.stack.push_async_callback(program.close)
        return program


@asynccontextmanager
async def cluster(folder: Path, engine: dict[str, Any], *, a: str = "here", **agent: Any) -> AsyncIterator[Cluster]:
    """All four, running; gateway `a` here or as a `process`."""
    ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
    wanted = simulator_settings(
        f"http://127.0.0.1:{ports['b']}",
        port=0,
        webhooks=WebhookPlan(retry_ms=(50,) * 600),
        statuses=StatusPlan(sent_ms=5, delivered_ms=9, read_ms=15),
    )
    async with running(wanted) as (simulator, graph_url), aiohttp.ClientSession() as http, AsyncExitStack() as stack:
        line = {"kind": "whatsapp", "phone_number_id": NUMBER, **SECRETS, "pair_interval": 0}
        desk = {"slug": "desk", "brain": "client", "debounce_ms": 0, "channels": [line], **agent}
        config = {"settle_wait": 1, **engine, "api_key": KEY, "whatsapp_graph_url": graph_url, "agents": [desk]}
        (folder / "omni.yaml").write_text(yaml.safe_dump(config))
        group = Cluster(folder, load(folder / "omni.yaml"), ports, http, simulator, stack)
        try:
            for name in ROLES:
                await (group.spawn() if (name, a) == ("a", "process") else group.start(name))
            yield group
        finally:
            await stack.aclose()
            await group.kill()
            for name in reversed(list(group.servers)):
                await group.stop(name)
        assert "Traceback" not in group.said, group.said
        assert not [name for name, secret in {**SECRETS, "key": KEY}.items() if secret in group.said]

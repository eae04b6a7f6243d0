"""A real server in a process of its own, with WhatsApp's stand-in and a model's beside it, and its customers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from channels.whatsapp.simulator import Simulator, SimulatorSettings, StatusPlan, WebhookPlan, running
from omni import Omni, Timing
from tests.brains.llm_server import LlmServer
from tests.server.shop import Proxy

ROOT = Path(__file__).resolve().parents[2]
ANA = "34600111222"
NUMBER = "100200300"
KEY = "pk_of_the_tests_0123456789"
SECRETS = {"access_token": "T", "app_secret": "an-app-secret-of-tests", "verify_token": "V"}
PATIENCE = 30.0
QUICK = Timing(reconnect_first=0.05, reconnect_most=0.2, drain=2)


@dataclass
class House:
    """`url` is the server behind a door that may be slammed (`door.cut()`); `direct` goes past it."""

    folder: Path
    port: int
    simulator: Simulator
    graph_url: str
    llm: LlmServer
    http: aiohttp.ClientSession
    door: Proxy
    process: asyncio.subprocess.Process | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "server.log"

    @property
    def direct(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    def variables(self) -> dict[str, str]:
        """What a bot's process needs besides a plain environment."""
        ours = ("OMNI_", "OPENAI_", "WHATSAPP_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        whatsapp = {"WHATSAPP_PHONE_NUMBER_ID": NUMBER, **{f"WHATSAPP_{k.upper()}": v for k, v in SECRETS.items()}}
        place = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
        return {**kept, **place, **whatsapp, "OMNI_URL": self.url, "OMNI_API_KEY": KEY}

    async def open(self) -> None:
        """Starts the server and waits until it answers."""
        self.process = await self.serve(self.port)

    async def serve(self, port: int, role: str = "all", **settings: str) -> asyncio.subprocess.Process:
        """Starts a process of the server and waits until it answers. Without `settings` it is on embedded engines."""
        engines = {"OMNI_STORE_URL": f"sqlite:///{self.folder / 'omni.db'}"}
        common = {
            "OMNI_BLOB_URL": f"file://{self.folder / 'blobs'}",
            "OMNI_WHATSAPP_GRAPH_URL": self.graph_url,
            "OMNI_LLM_BASE_URL": self.llm.base_url,
            "OMNI_API_KEY": KEY,
            "OPENAI_API_KEY": "sk-of-the-tests",
        }
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "omni", "serve", "--role", role, "--port", str(port), cwd=self.folder,
                env={**self.variables(), **common, **(settings or engines)},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        await until(lambda: self._is_ready(process, port))
        return process

    async def _is_ready(self, process: asyncio.subprocess.Process, port: int) -> bool:
        assert process.returncode is None, self.log.read_text()
        try:
            async with self.http.get(f"http://127.0.0.1:{port}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()

    def lead_to(self, port: int) -> None:
        """Who comes through the door from now on meets another process."""
        self.door._target = ("127.0.0.1", port)

    # --- customers ---

    def writes(self, text: str, who: str = ANA) -> None:
        self.simulator.user_does({"from": who, "type": "text", "text": text})

    async def reads(self, number: int, who: str = ANA) -> list[str]:
        """The texts on a phone, once there are so many messages."""
        sent = await self.simulator.wait_sent(number, to=who, timeout=PATIENCE)
        return [one.body["text"]["body"] for one in sent if one.type == "text"]

    @asynccontextmanager
    async def visitor(self, token: str) -> AsyncIterator[Visitor]:
        """Somebody in the web chat."""
        async with self.http.ws_connect(f"{self.direct}/chat/ws", params={"token": token}) as ws:
            visitor = Visitor(ws)
            await visitor.expect("chat.connected")
            yield visitor


class Visitor:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.frames: list[dict[str, Any]] = []

    async def says(self, text: str) -> None:
        await self._ws.send_json({"event": "message", "text": text})

    async def expect(self, *events: str) -> dict[str, Any]:
        """The next frame of one of these names."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._ws.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, (message, self.frames)
                frame: dict[str, Any] = json.loads(message.data)
                self.frames.append(frame)
                if frame["event"] in events:
                    return frame


async def until(condition: Callable[[], Any]) -> Any:
    """What a function (or coroutine function) returns as soon as that is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)


@asynccontextmanager
async def empty_house(folder: Path, port: int) -> AsyncIterator[House]:
    """Everything but the server."""
    llm = LlmServer()
    await llm.start()
    settings = SimulatorSettings(
        port=0,
        webhook_url=f"http://127.0.0.1:{port}/whatsapp/webhook",
        phone_number_id=NUMBER,
        statuses=StatusPlan(sent_ms=5, delivered_ms=10, read_ms=15),
        webhooks=WebhookPlan(retry_ms=(50,) * 200),
        **SECRETS,
    )
    door = Proxy("127.0.0.1", port)
    await door.open()
    try:
        async with running(settings) as (simulator, graph_url), aiohttp.ClientSession() as http:
            yield House(folder, port, simulator, graph_url, llm, http, door)
    finally:
        await door.close()
        await llm.stop()


@asynccontextmanager
async def open_house(folder: Path, port: int) -> AsyncIterator[House]:
    async with empty_house(folder, port) as house:
        try:
            await house.open()
            yield house
        finally:
            await house.kill(signal.SIGTERM)


def program(house: House) -> Omni:
    return Omni(house.url, KEY, timing=QUICK)

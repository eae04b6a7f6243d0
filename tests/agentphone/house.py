"""A server in a process of its own, the stand-ins for Twilio and for a model, developers' servers, and AgentPhone's
clients, unmodified.

Everything of ours that is asynchronous lives on a loop in a thread: the clients' own code is what the tests run.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml
from agentphone import AgentPhone, AsyncAgentPhone, construct_event
from aiohttp import web

from channels.phone.addresses import STATUS_PATH, VOICE_PATH
from channels.twilio.simulator import Simulator, running
from omni.access.keys import Keys
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from tests.brains.llm_server import LlmServer
from tests.ports import free_port
from tests.server.shop import OURS, ROOT
from tests.sms.desk import LINE, simulator_settings

T = TypeVar("T")
Turn = Callable[[web.Request], Awaitable[web.StreamResponse]]

POOL = ("+14155550101", "+14155550102", "+14165550103")
"""The last one is Canadian."""
ADA, BO = "+12025550171", "+12025550172"


def _line(number: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its texts, and its calls."""
    names = ("number", "account_sid", "auth_token")
    texts = {**LINE, "number": number}
    return texts, {"kind": "phone", **{name: texts[name] for name in names}}


def until(condition: Callable[[], T], seconds: float = 10.0) -> T:
    """What `condition` returns, as soon as that is true."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)
    return found


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="the tests' loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Heard:
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def is_turn(self) -> bool:
        """Whether it asks for an answer to what a caller said."""
        return self.said.get("event") == "agent.message" and self.said.get("channel") == "voice"

    def event(self, secret: str) -> Any:
        """As the client's own verifier has it."""
        header = self.headers
        return construct_event(self.body, header["X-Webhook-Signature"], secret, header["X-Webhook-Timestamp"])


@dataclass(slots=True)
class Receivers:
    """Developers' servers, each under a path of its own. `wants` are statuses to answer with before 200; `turns` answer
    what callers say, one after the other, and `gone` counts those whose caller did not wait for the end."""

    url: str = ""
    heard: defaultdict[str, list[Heard]] = field(default_factory=lambda: defaultdict(list))
    wants: defaultdict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    turns: defaultdict[str, deque[Turn]] = field(default_factory=lambda: defaultdict(deque))
    gone: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        heard = Heard(dict(request.headers), await request.read())
        self.heard[name].append(heard)
        if heard.is_turn and self.turns[name]:
            try:
                return await self.turns[name].popleft()(request)
            except (asyncio.CancelledError, ConnectionError):
                self.gone[name] += 1
                raise
        wanted = self.wants[name]
        return web.Response(status=wanted.popleft() if wanted else 200, text="thanks")


class House:
    """One for a whole test session. Every test is an organisation of its own in it."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.receivers = Receivers()
        self.llm = LlmServer()
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self.port = free_port()
        self.sip_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.simulator: Simulator
        self.store: SqliteStore
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        api_url = self.loop.run(self._open())
        settings = {
            "port": self.port,
            "public_url": self.url,
            "store_url": f"sqlite:///{self._folder}/omni.db",
            "sqlite_sync": "normal",
            "partitions": 2,
            "twilio_api_url": api_url,
            "allow_private_webhooks": True,
            "settle_wait": 0.5,
            "inventory": [channel for number in POOL for channel in _line(number)],
            "sip_bind": f"127.0.0.1:{self.sip_port}",
            "sip_rtp_ports": "56000-57999",
            "llm_base_url": self.llm.base_url,
        }
        (self._folder / "omni.yaml").write_text(yaml.safe_dump(settings))
        variables = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.agentphone.speaking_server", "omni.yaml"],
                cwd=self._folder, env={**variables, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-test"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        until(self._is_up, 50)
        self.loop.run(self._open_store())

    def close(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        self.loop.run(self._stack.aclose())
        self.loop.close()

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def key(self, org: str) -> str:
        _, secret = self.loop.run(Keys(self.store).create(org, "the tests"))
        return secret

    async def _open(self) -> str:
        told = simulator_settings(
            webhook_url=f"{self.url}/twilio/sms",
            voice_url=f"{self.url}{VOICE_PATH}",
            voice_status_url=f"{self.url}{STATUS_PATH}",
            more_numbers=POOL,
        )
        await self.llm.start()
        self._stack.push_async_callback(self.llm.stop)
        self.simulator, api_url = await self._stack.enter_async_context(running(told))
        app = web.Application()
        app.add_routes([web.post("/hook/{name}", self.receivers.handle)])
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.receivers.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        return api_url

    async def _open_store(self) -> None:
        file = SqliteFile(self._folder / "omni.db", sync="normal")
        await file.open()
        self._stack.push_async_callback(file.close)
        self.store = SqliteStore(file)
        await self.store.open()
        self._stack.push_async_callback(self.store.close)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/ready", timeout=5).ok
        return False


class Blocking:
    """An asynchronous client whose calls are waited for. Generators become lists."""

    def __init__(self, loop: Loop, target: Any) -> None:
        self._loop = loop
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return Blocking(self._loop, found)

        def call(*args: Any, **more: Any) -> Any:
            result = found(*args, **more)
            if inspect.isasyncgen(result):
                return iter(self._loop.run(_all(result)))
            return self._loop.run(result)

        return call


async def _all(generator: Any) -> list[Any]:
    return [each async for each in generator]


@dataclass(slots=True)
class Desk:
    """One organisation: `c` is the client, `http` the same without one."""

    house: House
    org: str
    key: str
    c: Any
    http: requests.Session

    def raw(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.http.request(
            method, f"{self.house.url}/agentphone{path}", timeout=20, allow_redirects=False, **more
        )

    def hook(self, name: str = "") -> str:
        """The address of a developer's server."""
        return f"{self.house.receivers.url}/{self.org}{name}"

    def heard(self, number: int = 1, name: str = "") -> list[Heard]:
        """What it was told, once that is so much."""
        told = self.house.receivers.heard[f"{self.org}{name}"]
        return until(lambda: told if len(told) >= number else None) or []

    def shop(self, **more: Any) -> tuple[Any, Any]:
        """An agent and its number."""
        agent = self.c.agents.create(name="Shop", **more)
        return agent, self.c.numbers.buy(country="US", agent_id=agent.id)

    def texts(self, sender: str, to: str, body: str, **more: Any) -> None:
        """Somebody writes to one of our numbers."""
        self.house.loop.run(_now(lambda: self.house.simulator.texts(sender, body, fields={"To": to}, **more)))

    def phone(self, who: str, number: int = 1) -> list[Any]:
        """What has arrived on somebody's phone, once that is so much."""
        return self.house.loop.run(self.house.simulator.wait_sent(number, to=who, timeout=10.0))

    def conversation(self) -> Any:
        """The only one, once there is one."""
        found = until(lambda: self.c.conversations.list().data)
        assert len(found) == 1
        return found[0]


async def _now(act: Callable[[], Any]) -> Any:
    return act()


@contextlib.contextmanager
def desk(house: House, flavour: str) -> Iterator[Desk]:
    """`flavour` is `sync` or `async`, and with a slash behind it if the client's address has one."""
    org = f"org{secrets.token_hex(4)}"
    key = house.key(org)
    base_url = f"{house.url}/agentphone{'/' if flavour.endswith('/') else ''}"
    http = requests.Session()
    http.headers["Authorization"] = f"Bearer {key}"
    client: Any
    if flavour.startswith("async"):
        client = Blocking(house.loop, AsyncAgentPhone(api_key=key, base_url=base_url))
    else:
        client = AgentPhone(api_key=key, base_url=base_url)
    found = Desk(house, org, key, client, http)
    try:
        yield found
    finally:
        house.loop.run(_now(house.simulator.reset))
        house.loop.run(_now(house.simulator.calls.people.clear))
        for number in found.raw("GET", "/v1/numbers").json()["data"]:
            found.raw("DELETE", f"/v1/numbers/{number['id']}")
        client.close()
        http.close()

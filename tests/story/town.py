"""A whole server between the stand-ins for WhatsApp, for Twilio and for a model, with ears and a voice that cost
nothing; and the person who lives at the far ends of all of them."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from channels.phone.addresses import STATUS_PATH, VOICE_PATH
from channels.twilio.simulator import SimulatedCall
from channels.twilio.simulator import Simulator as Exchange
from channels.twilio.simulator import create_app as exchange_app
from channels.whatsapp.simulator import Simulator as Cloud
from channels.whatsapp.simulator import create_app as cloud_app
from omni.app.engines import Engines, engines
from omni.app.server import Server
from omni.app.speech import Speech
from omni.cli.show import entry_line
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import Entry, Fact
from omni.settings import Settings
from omni.store.base import CallFilter
from sessions.commands import Commands
from tests.agentphone.marks import text_of, wav
from tests.agentphone.speaking_server import MarkRecogniser, MarkSpeaker, MarkVad
from tests.brains.llm_server import LlmServer, Reply, calls, says
from tests.server.shop import SECRETS, until
from tests.server.shop import simulator_settings as cloud_settings
from tests.sms.desk import ACCOUNT, TOKEN
from tests.sms.desk import simulator_settings as exchange_settings

ADA = "12025550171"
BAKERY = "+12025550142"
QUIET_MS = 300
WHATSAPP = {"kind": "whatsapp", "phone_number_id": "100200300", **SECRETS, "pair_interval": 0}
PHONE = {"kind": "phone", "number": BAKERY, "account_sid": ACCOUNT, "auth_token": TOKEN}


@dataclass
class Mind:
    """A model that answers what it was taught: words of the user's newest message to a text, or to a tool and a text.
    `read` are the requests, by those words."""

    llm: LlmServer
    taught: dict[str, tuple[dict[str, Any] | None, str]] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)

    def knows(self, words: str, says: str, tool: str | None = None, **arguments: Any) -> None:
        self.taught[words] = (arguments if tool is not None else None, says)
        if tool is not None:
            self.tools[words] = tool

    def __call__(self, body: dict[str, Any]) -> Reply:
        messages = body["messages"]
        newest = max(n for n, one in enumerate(messages) if one["role"] == "user")
        words = next(each for each in self.taught if each in messages[newest]["content"])
        arguments, answer = self.taught[words]
        has_used = any(one["role"] == "tool" for one in messages[newest:])
        if arguments is None or has_used:
            return says(answer)
        return calls((self.tools[words], json.dumps(arguments)))

    def read(self, words: str) -> list[str]:
        """What the model was given, line by line, when it was first asked this."""
        for body in self.llm.requests:
            users = [one["content"] for one in body["messages"] if one["role"] == "user"]
            if users and words in users[-1]:
                return [one.get("content") or "" for one in body["messages"]]
        raise AssertionError(f"nobody asked about {words!r}")

    def results(self) -> list[str]:
        """What its tools told it."""
        last = self.llm.requests[-1]["messages"]
        return [one["content"] for one in last if one["role"] == "tool"]


@dataclass
class Town:
    server: Server
    cloud: Cloud
    exchange: Exchange
    engines: Engines
    commands: Commands
    mind: Mind
    call: SimulatedCall | None = None

    # what Ada does

    def writes(self, text: str) -> None:
        self.cloud.user_does({"from": ADA, "type": "text", "text": text})

    async def reads(self, number: int) -> str:
        """The newest of so many messages on her phone."""
        sent = list(await self.cloud.wait_sent(number, to=ADA, timeout=30))
        assert len(sent) == number, [one.body for one in sent]
        return str(sent[-1].body["text"]["body"])

    def phones(self, number: str = f"+{ADA}") -> None:
        self.call = self.exchange.calls.place(number, to=BAKERY)

    def speaks(self, text: str) -> None:
        assert self.call is not None
        self.call.caller.say(wav(text))

    async def hears(self, text: str) -> None:
        """Until it is said, and nobody speaks."""
        assert self.call is not None
        streams = self.call.streams
        await until(lambda: text in self.heard and all(one.heard.quiet_ms >= QUIET_MS for one in streams[-1:]))

    @property
    def heard(self) -> str:
        assert self.call is not None
        return "".join(text_of(bytes(stream.heard.played)) for stream in self.call.streams)

    async def hangs_up(self) -> None:
        assert self.call is not None
        self.exchange.calls.hang_up(self.call)
        await self.exchange.calls.over(self.call)
        await self.logged(self.call.sid, "call.summary")

    # what is in the store

    async def all(self) -> list[Call]:
        """Every call, oldest first."""
        return list(reversed(await self.engines.store.calls(CallFilter(org="default"))))

    async def newest(self, transport: str) -> Call:
        async def look() -> Call | None:
            return next((one for one in reversed(await self.all()) if one.transport == transport), None)

        found: Call = await until(look)
        return found

    async def log(self, call: str) -> list[Entry]:
        return await self.engines.store.entries(call)

    async def logged(self, call: str, kind: str, number: int = 1) -> list[Any]:
        """The facts of a type, once there are so many."""

        async def look() -> list[Fact] | None:
            facts = [entry.fact for entry in await self.log(call) if entry.fact.type == kind]
            return facts if len(facts) >= number else None

        found: list[Any] = await until(look)
        return found

    async def told(self) -> str:
        """All logs, as `omni calls show` has them."""
        lines: list[str] = []
        for call in await self.all():
            names: dict[str, str] = {}
            lines.append(f"\n{call.id} on {call.channel}")
            lines += [line for entry in await self.log(call.id) if (line := entry_line(entry, names)) is not None]
        return "\n".join(lines)


def _door() -> socket.socket:
    """A port that is known before anybody listens on it."""
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    door.listen(128)
    return door


@asynccontextmanager
async def open_town(
    folder: Path, llm: LlmServer, settings: dict[str, Any] | None = None, **agent: Any
) -> AsyncIterator[Town]:
    """`agent` is what the baker has otherwise, `settings` what the server has."""
    baker = {
        "slug": "baker",
        "brain": "llm",
        "debounce_ms": 0,
        "history": "all_channels",
        "greeting": "Bakery, hello.",
        "llm": {"retries": 0},
        "audio": {"session_limits": {"idle_timeout_seconds": 0}},
        "channels": [WHATSAPP, PHONE],
        "tools": [{"name": "send_message", "builtin": "send_message"}],
        **agent,
    }
    async with AsyncExitStack() as stack:
        doors = [_door(), _door()]
        graph, twilio = (f"http://127.0.0.1:{door.getsockname()[1]}" for door in doors)
        configured = Settings(
            port=0,
            store_url=f"sqlite:///{folder}/omni.db",
            sqlite_sync="normal",
            partitions=2,
            settle_wait=0.2,
            whatsapp_graph_url=graph,
            twilio_api_url=twilio,
            llm_base_url=llm.base_url,
            allow_private_webhooks=True,
            agents=(Agent.model_validate(baker),),
            **(settings or {}),
        )
        server = Server(configured, speech=Speech(MarkRecogniser(), MarkSpeaker(), MarkVad))
        await server.start()
        stack.push_async_callback(server.stop)
        cloud = Cloud(cloud_settings(server.url))
        exchange = Exchange(
            exchange_settings(
                webhook_url=f"{server.url}/twilio/sms",
                voice_url=f"{server.url}{VOICE_PATH}",
                voice_status_url=f"{server.url}{STATUS_PATH}",
                number=BAKERY,
            )
        )
        apps: list[Callable[[], web.Application]] = [lambda: cloud_app(cloud), lambda: exchange_app(exchange)]
        for app, door in zip(apps, doors, strict=True):
            runner = web.AppRunner(app(), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, door).start()
        found = await stack.enter_async_context(engines(configured))
        mind = Mind(llm)
        llm.otherwise = mind
        yield Town(server, cloud, exchange, found, Commands(found.store, found.bus, configured.partitions), mind)

"""A business that texts: a whole server and the stand-in for Twilio, joined over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp

from channels.twilio.simulator import Simulator, SimulatorSettings, StatusPlan
from channels.twilio.simulator.signing import headers
from omni.app.engines import Engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.channel import SmsChannel
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.delivery import Delivery
from omni.settings import Settings
from omni.store.base import CallFilter
from sessions.commands import Commands
from tests.server.shop import PATIENCE, until

NUMBER = "+12025550142"
ADA = "+12025550171"
ACCOUNT = "AC" + "5" * 32
SERVICE = "MG" + "7" * 32
TOKEN = "an-auth-token-0f9b7731"
ECHO = {"when": "(?s).*", "say": "You said: {{ text }}"}
LINE: dict[str, Any] = {
    "kind": "sms",
    "number": NUMBER,
    "account_sid": ACCOUNT,
    "auth_token": TOKEN,
    "rate": 1000,
}
QUICK = StatusPlan(queued_ms=2, sent_ms=4, delivered_ms=8)


def line_of(**more: Any) -> SmsChannel:
    return SmsChannel.model_validate({**LINE, **more})


def agent_of(slug: str = "echo", *, channel: dict[str, Any] | None = None, **more: Any) -> Agent:
    """An agent that echoes at once, unless `more` says otherwise."""
    return Agent.model_validate(
        {
            "slug": slug,
            "brain": "script",
            "debounce_ms": 0,
            "script": [ECHO],
            "channels": [{**LINE, **(channel or {})}],
            **more,
        }
    )


def simulator_settings(**more: Any) -> SimulatorSettings:
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "number": NUMBER, "statuses": QUICK, "port": 0, **more}
    return SimulatorSettings(**given)


@dataclass(slots=True)
class Desk:
    """`engines` are the test's own look at what the server stores."""

    simulator: Simulator
    api_url: str
    server: Server
    settings: Settings
    engines: Engines
    commands: Commands
    http: aiohttp.ClientSession

    async def answers(self, number: int = 1, who: str = ADA) -> list[str]:
        """The texts on the person's phone, once there are so many."""
        return [message.body for message in await self.simulator.wait_sent(number, to=who, timeout=PATIENCE)]

    async def calls(self) -> list[Call]:
        return await self.engines.store.calls(CallFilter(org="default"))

    async def call(self) -> Call:
        """The only call, once there is one."""
        (found,) = await until(self.calls)
        return found

    async def logged(self, kind: str, number: int = 1) -> list[Any]:
        """The facts of a type in the call's log, once there are so many."""

        async def look() -> list[Any] | None:
            facts: list[Any] = []
            for call in await self.calls():
                facts += [e.fact for e in await self.engines.store.entries(call.id) if e.fact.type == kind]
            return facts if len(facts) >= number else None

        return await until(look)

    async def deliveries(self, state: str, number: int = 1) -> list[Delivery]:
        """All deliveries, once so many are in a state."""

        async def look() -> list[Delivery] | None:
            found: list[Delivery] = []
            for call in await self.calls():
                found += await self.engines.store.deliveries(call.id)
            return found if sum(one.state == state for one in found) >= number else None

        return await until(look)

    async def contact(self, number: str = ADA) -> Contact | None:
        identity = Identity(kind=IdentityKind.PHONE, value=number[1:])
        found = await self.engines.store.find_contacts("default", [identity])
        return found[0] if found else None

    async def post(
        self, path: str, fields: dict[str, str], *, signed_for: str | None = None, token: str = TOKEN, key: str = ""
    ) -> tuple[int, bytes]:
        """A form as Twilio would post it; `signed_for` is the address it is signed with."""
        form = list(fields.items())
        signature = headers(signed_for or f"{self.server.url}{path}", form, auth_token=token, signing_key=key)
        async with self.http.post(f"{self.server.url}{path}", data=form, headers=signature) as answer:
            return answer.status, await answer.read()


def form_of(sid: str = "SM" + "1" * 32, body: str = "hello", **more: str) -> dict[str, str]:
    return {"AccountSid": ACCOUNT, "MessageSid": sid, "From": ADA, "To": NUMBER, "Body": body, "NumMedia": "0", **more}

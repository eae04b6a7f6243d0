"""`/v1/verify`: a code by text, to see whether a number is somebody's own.

The code goes out as a message of the agent whose number sends it, so the inbox shows that it did. What is kept of it is
a keyed hash, for ten minutes and five attempts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from aiohttp import web
from pydantic import Field

from omni.gateway.agentphone.answers import Fields, answer
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import missing, wrong
from omni.gateway.agentphone.messages import MessageOperations
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.shapes import E164, Snake
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.sending import Sending
from omni.gateway.rest.messages.shapes import MessageSend
from omni.model.access import Lease
from omni.model.channel import SmsChannel

VALID_SECONDS: Final = 600.0
KEPT_SECONDS: Final = 86_400.0
"""How long it is known what became of a code."""
ATTEMPTS: Final = 5
SENDS: Final = 10
"""A minute, for one key: somebody else's phone is at the other end."""
DIGITS: Final = 6
_LEASE: Final = "verify:"


class SendBody(Snake):
    phone_number: E164


class CheckBody(Snake):
    verification_id: str = Field(min_length=1, max_length=100)
    code: str = Field(min_length=1, max_length=20)


class VerificationOperations:
    def __init__(self, kit: RestKit, sending: Sending, numbers: Numbers, messages: MessageOperations) -> None:
        self._kit = kit
        self._sending = sending
        self._numbers = numbers
        self._messages = messages

    def operations(self) -> list[Operation]:
        return [
            Operation("POST", "/v1/verify/send", self.send, SENDS),
            Operation("POST", "/v1/verify/check", self.check),
        ]

    async def send(self, asked: Asked) -> web.Response:
        body = asked.body(SendBody)
        agent, channel = await self._channel(asked.org)
        line = await self._sending.line(
            asked.by, MessageSend(agent_id=agent, channel_id=channel.id, to=body.phone_number, text="-")
        )
        self._sending.check(line, is_template=False)
        id_, code = self._kit.new_id("ver"), f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        now = self._kit.clock()
        kept: Fields = {"hash": _hash(id_, code), "tries": 0, "until": now + VALID_SECONDS, "done": False}
        await self._kit.store.take_lease(self._lease(asked.org, id_, now + KEPT_SECONDS, kept), now=now)
        text = f"Your verification code is {code}. It is valid for 10 minutes."
        await self._messages.deliver(asked.by, line, text, ())
        return answer({"verification_id": id_, "status": "pending"})

    async def check(self, asked: Asked) -> web.Response:
        body = asked.body(CheckBody)
        now, name = self._kit.clock(), f"{_LEASE}{asked.org}:{body.verification_id}"
        found = next((one for one in await self._kit.store.leases(name, now=now) if one.name == name), None)
        if found is None:
            raise missing("there is no such verification; send a code first")
        tries, until = int(str(found.data["tries"])), float(str(found.data["until"]))
        left = max(0, ATTEMPTS - tries)
        if found.data["done"]:
            return answer({"result": "already_verified", "attempts_remaining": left})
        if now > until:
            return answer({"result": "expired", "attempts_remaining": 0})
        if not left:
            return answer({"result": "exhausted", "attempts_remaining": 0})
        is_right = hmac.compare_digest(str(found.data["hash"]), _hash(body.verification_id, body.code))
        kept = {**found.data, "tries": tries + 1, "done": is_right}
        await self._kit.store.take_lease(found.model_copy(update={"data": kept}), now=now)
        if is_right:
            return answer({"result": "ok", "attempts_remaining": left - 1})
        return answer({"result": "incorrect" if left > 1 else "exhausted", "attempts_remaining": left - 1})

    async def _channel(self, org: str) -> tuple[str, SmsChannel]:
        for number in reversed(await self._numbers.all(org)):
            for channel in number.channels:
                if number.agent is not None and isinstance(channel, SmsChannel):
                    return number.agent, channel
        raise wrong("no agent has a number that sends texts; attach one first")

    def _lease(self, org: str, id_: str, until: float, kept: Fields) -> Lease:
        return Lease(name=f"{_LEASE}{org}:{id_}", holder="verification", until=until, data=kept)


def _hash(id_: str, code: str) -> str:
    return hashlib.sha256(f"{id_}:{code.strip()}".encode("utf-8", "surrogatepass")).hexdigest()

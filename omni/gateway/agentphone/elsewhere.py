"""What only a carrier or a billed host can do, said in one sentence each; and the little that can be answered of it."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web
from pydantic import Field

from omni.gateway.agentphone.answers import answer
from omni.gateway.agentphone.asking import Asked, Handle, Method, Operation
from omni.gateway.agentphone.errors import not_here
from omni.gateway.agentphone.number_shapes import number_of
from omni.gateway.agentphone.shapes import Snake
from omni.gateway.rest.kit import RestKit
from omni.model.channel import WhatsAppChannel

log = logging.getLogger("omni.agentphone")

_REGISTRATION: Final = "numbers are registered for texting in the US at their carrier; do it in your carrier's console"
_LOCATION: Final = "where a phone is, only its carrier knows; this server does not ask"
_WHATSAPP: Final = (
    "WhatsApp numbers are connected in the server's configuration, or with POST /v1/agents/{id}/channels of its own API"
)
_SIGN_UP: Final = "keys of this server are made by its operator: `omni keys create`"

REFUSED: Final[tuple[tuple[Method, str, str], ...]] = (
    ("GET", "/v1/register", _REGISTRATION),
    ("POST", "/v1/register", _REGISTRATION),
    ("PATCH", "/v1/register", _REGISTRATION),
    ("GET", "/v1/location/{number}", _LOCATION),
    ("POST", "/v1/location/refresh", _LOCATION),
    ("POST", "/integrations/whatsapp/connect", _WHATSAPP),
    ("DELETE", "/integrations/whatsapp/{connection}", _WHATSAPP),
    ("GET", "/integrations/whatsapp/{connection}/available-numbers", _WHATSAPP),
    ("POST", "/integrations/whatsapp/{connection}/numbers", _WHATSAPP),
    ("GET", "/integrations/whatsapp/{connection}/templates", _WHATSAPP),
    ("POST", "/integrations/whatsapp/{connection}/templates", _WHATSAPP),
    ("DELETE", "/integrations/whatsapp/{connection}/templates", _WHATSAPP),
    ("POST", "/v0/agent/sign-up", _SIGN_UP),
    ("POST", "/v0/agent/verify", _SIGN_UP),
)


class Feedback(Snake):
    category: str = Field(min_length=1, max_length=100)
    note: str = Field(min_length=1, max_length=10_000)
    request_id: str | None = Field(default=None, max_length=200)
    url: str | None = Field(default=None, max_length=2_048)
    tags: tuple[str, ...] | None = Field(default=None, max_length=50)


class Elsewhere:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    def operations(self) -> list[Operation]:
        return [
            *(Operation(method, path, _refusing(sentence)) for method, path, sentence in REFUSED),
            Operation("GET", "/v1/register/status", self.registration),
            Operation("GET", "/integrations/whatsapp/status", self.whatsapp),
            Operation("POST", "/v1/feedback", self.feedback),
            Operation("GET", "/auth/me", self.who),
        ]

    async def registration(self, _: Asked) -> web.Response:
        return answer({"campaign_status": "none", "message": _REGISTRATION, "stage": None})

    async def whatsapp(self, asked: Asked) -> web.Response:
        found = [
            (agent, channel)
            for agent in await self._kit.store.agents(asked.org)
            for channel in agent.channels
            if isinstance(channel, WhatsAppChannel)
        ]
        return answer(
            {
                "connected": bool(found),
                "connections": [
                    {
                        "id": channel.phone_number_id,
                        "phone_number_id": channel.phone_number_id,
                        "phone_number": number_of(channel),
                        "waba_id": channel.waba_id,
                        "agent_id": agent.slug,
                        "status": "active",
                    }
                    for agent, channel in found
                ],
            }
        )

    async def feedback(self, asked: Asked) -> web.Response:
        """For the operator, in the log."""
        body, id_ = asked.body(Feedback), self._kit.new_id("fb")
        about = {"feedback": id_, "category": body.category, "org": asked.org, "request": body.request_id}
        log.info("feedback: %s", body.note, extra=about)
        return answer({"success": True, "id": id_})

    async def who(self, asked: Asked) -> web.Response:
        key = asked.by.key
        return answer({"id": key.org, "email": None, "name": key.name})


def _refusing(sentence: str) -> Handle:
    async def refuse(_: Asked) -> web.StreamResponse:
        raise not_here(sentence)

    return refuse

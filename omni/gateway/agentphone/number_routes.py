"""`/v1/numbers`: list, buy, get, tag, release; what is available; contact cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator, Field, StringConstraints

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import Fields, answer, nothing, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.countries import area_of, country_of
from omni.gateway.agentphone.errors import missing, unfit, wrong
from omni.gateway.agentphone.number_shapes import Card, Number, shown_number
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.shapes import Camel, Window, plus
from omni.gateway.rest.kit import RestKit
from omni.model.numbers import digits, is_e164

MOST_LOOKED_UP: Final = 25

Area = Annotated[str, Field(pattern=r"^[0-9]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$", to_upper=True)]
Tag = Annotated[str, Field(max_length=200)]


class Buy(Camel):
    country: Country | None = None
    area_code: Area | None = None
    agent_id: str | None = Field(default=None, max_length=64)
    type: str = Field(default="sms", max_length=40)
    external_id: Tag | None = None
    expires_at: datetime | None = None


class Change(Camel):
    external_id: Tag | None = None
    expires_at: datetime | None = None


class Available(Camel):
    area_code: Area | None = None
    country: Country | None = None
    limit: int = Field(default=20, ge=1, le=100)


class LookUp(Camel):
    phone_numbers: Annotated[str, Field(max_length=1_000), BeforeValidator(plus)]


class CardBody(Camel):
    first_name: str = Field(min_length=1, max_length=120)
    last_name: str = Field(max_length=120)
    display_name: str | None = Field(default=None, max_length=240)
    avatar_url: str | None = Field(default=None, pattern=r"^https://", max_length=2_048)


class NumberOperations:
    def __init__(self, kit: RestKit, agents: AgentOperations, numbers: Numbers) -> None:
        self._kit = kit
        self._agents = agents
        self._numbers = numbers

    def operations(self) -> list[Operation]:
        one = "/v1/numbers/{number}"
        return [
            Operation("GET", "/v1/numbers", self.every),
            Operation("POST", "/v1/numbers", self.buy),
            Operation("GET", "/v1/numbers/available", self.available),
            Operation("GET", "/v1/numbers/lookup", self.look_up),
            Operation("GET", one, self.get),
            Operation("PATCH", one, self.change),
            Operation("DELETE", one, self.release),
            Operation("GET", f"{one}/contact-card", self.card),
            Operation("PUT", f"{one}/contact-card", self.set_card),
            Operation("DELETE", f"{one}/contact-card", self.drop_card),
        ]

    async def every(self, asked: Asked) -> web.Response:
        window = asked.query(Window)
        found = await self._numbers.all(asked.org)
        rows = found[window.offset : window.offset + window.limit]
        return answer(page([shown_number(each) for each in rows], offset=window.offset, total=len(found)))

    async def buy(self, asked: Asked) -> web.Response:
        body = asked.body(Buy)
        if body.type not in ("sms", "whatsapp", "phone"):
            raise wrong(f"there are no numbers of the type {body.type!r} here; use sms", "type")
        expires = self._expiry(body.expires_at)
        agent = await self._agents.find(asked.org, body.agent_id) if body.agent_id is not None else None
        number = await self._numbers.buy(
            asked.org, body.country, body.area_code, agent, external_id=body.external_id, expires_at=expires
        )
        return answer(shown_number(number))

    async def get(self, asked: Asked) -> web.Response:
        return answer(shown_number(await self._named(asked)))

    async def change(self, asked: Asked) -> web.Response:
        body = asked.body(Change)
        number = await self._active(asked)
        noted: dict[str, object] = {}
        if "external_id" in body.model_fields_set:
            noted["external_id"] = body.external_id or None
        if "expires_at" in body.model_fields_set:
            noted["expires_at"] = self._expiry(body.expires_at)
        return answer(shown_number(await self._numbers.note(number, **noted) if noted else number))

    async def release(self, asked: Asked) -> web.Response:
        number = await self._named(asked)
        await self._kit.audit(asked.by, "number.release", number.id)
        await self._numbers.release(number)
        return answer({"success": True, "phoneNumber": number.number, "status": "released"})

    async def available(self, asked: Asked) -> web.Response:
        query = asked.query(Available)
        fitting = [
            number
            for number in await self._numbers.free()
            if query.country in (None, country_of(number)) and query.area_code in (None, area_of(number))
        ]
        return answer(
            {
                "data": [
                    {
                        "phoneNumber": number,
                        "city": None,
                        "state": None,
                        "rateCenter": None,
                        "areaCode": area_of(number),
                        "country": country_of(number),
                    }
                    for number in fitting[: query.limit]
                ]
            }
        )

    async def look_up(self, asked: Asked) -> web.Response:
        """What a number tells by itself: nobody is asked."""
        query = asked.query(LookUp)
        wanted = [part for part in query.phone_numbers.split(",") if part.strip()]
        if not 1 <= len(wanted) <= MOST_LOOKED_UP:
            raise unfit("phoneNumbers", f"give 1 to {MOST_LOOKED_UP} numbers with commas between them", where="query")
        numbers = ["+" + digits(part) for part in wanted]
        for number in numbers:
            if not is_e164(number):
                raise unfit("phoneNumbers", f"{number!r} is not a full number", where="query")
        return answer(
            {
                "data": [
                    {"phoneNumber": number, "lineType": None, "country": country_of(number), "rcsEnabled": False}
                    for number in numbers
                ]
            }
        )

    async def card(self, asked: Asked) -> web.Response:
        number = await self._named(asked)
        if number.record is None or number.record.card is None:
            raise missing(f"the number {number.id} has no contact card; PUT one")
        return answer(_card(number.record.card))

    async def set_card(self, asked: Asked) -> web.Response:
        body = asked.body(CardBody)
        number = await self._active(asked)
        card = Card(**body.model_dump())
        await self._numbers.note(number, card=card)
        return answer(_card(card))

    async def drop_card(self, asked: Asked) -> web.Response:
        number = await self._active(asked)
        if number.record is not None and number.record.card is not None:
            await self._numbers.note(number, card=None)
        return nothing()

    async def _named(self, asked: Asked) -> Number:
        return await self._numbers.get(asked.org, asked.named("number"))

    async def _active(self, asked: Asked) -> Number:
        number = await self._named(asked)
        if number.status == "released":
            raise wrong(f"the number {number.number} was released")
        return number

    def _expiry(self, at: datetime | None) -> float | None:
        if at is None:
            return None
        moment = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
        if moment <= self._kit.clock():
            raise wrong("expiresAt: it is past; give a moment to come", "expiresAt")
        return moment


def _card(card: Card) -> Fields:
    return {
        "firstName": card.first_name,
        "lastName": card.last_name,
        "displayName": card.display_name or f"{card.first_name} {card.last_name}".strip(),
        "hasAvatar": card.avatar_url is not None,
    }

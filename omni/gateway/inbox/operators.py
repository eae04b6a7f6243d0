"""The people of the inbox: who they are, and what admins do about them."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from omni.access.operators.links import link_url
from omni.access.operators.staff import StaffError, email_of, person_name
from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.auth import Doors
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.person import refusal, shown
from omni.model.base import Config
from omni.model.operator import Operator, Role


class NewOperator(Config):
    email: str = Field(max_length=1000)
    name: str = Field(max_length=1000)
    role: Role = "agent"


class OperatorChange(Config):
    """None leaves a thing as it is; `reset` takes the password away and answers a sign-in link."""

    name: str | None = Field(default=None, max_length=1000)
    role: Role | None = None
    disabled: bool | None = None
    reset: bool = False


class Operators:
    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def routes(self) -> list[web.RouteDef]:
        guard = self._doors.guard
        return [
            web.get("/v1/inbox/operators", guard.wrap("viewer", self.everyone)),
            web.post("/v1/inbox/operators", guard.wrap("admin", self.add)),
            web.patch("/v1/inbox/operators/{id}", guard.wrap("admin", self.change)),
        ]

    async def everyone(self, _: web.Request, actor: Actor) -> web.StreamResponse:
        found = await self._doors.store.operators(actor.org)
        return answer({"operators": [shown(operator) for operator in found]})

    async def add(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        body = await read_body(request, NewOperator)
        doors = self._doors
        try:
            email, name = email_of(body.email), person_name(body.name)
            if await doors.store.operator_by_email(email) is None:  # else it is refused, and nothing is done
                await doors.guard.audit(actor, request, "operator.add", email, role=body.role)
            operator = await doors.staff.add(actor.org, email, name, body.role)
        except StaffError as error:
            raise refusal(error) from None
        await doors.changed(actor.org)
        return answer({**shown(operator), "link": self._link(request, operator)}, 201)

    async def change(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        body = await read_body(request, OperatorChange)
        doors, whom = self._doors, request.match_info["id"]
        try:
            operator = await doors.staff.of(actor.org, whom)
            if body.reset and (body.disabled or (operator.disabled_at is not None and body.disabled is None)):
                raise InboxError(
                    422, "invalid", "a disabled operator cannot sign in by a link; enable them first", "reset"
                )
            asked = body.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            if body.name is not None:
                asked["name"] = person_name(body.name)
            await doors.guard.audit(actor, request, "operator.change", whom, **asked)
            operator = await doors.staff.change(
                actor.org, whom, name=body.name, role=body.role, is_disabled=body.disabled
            )
            if body.reset:
                operator = await doors.staff.reset(actor.org, whom)
        except StaffError as error:
            raise refusal(error) from None
        await doors.changed(actor.org)
        link = {"link": self._link(request, operator)} if body.reset else {}
        return answer({**shown(operator), **link})

    def _link(self, request: web.Request, operator: Operator) -> str:
        return link_url(self._doors.guard.url(request), self._doors.links.make(operator))

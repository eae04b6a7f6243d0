"""`/v1/sub-accounts`: list, create, rename, delete."""

from __future__ import annotations

from aiohttp import web

from omni.gateway.agentphone.agent_shapes import Name
from omni.gateway.agentphone.answers import Fields, answer, made_at, moment, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.children import Children, organisation
from omni.gateway.agentphone.errors import Refusal, missing
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.shapes import Camel, Window
from omni.gateway.rest.kit import RestKit
from omni.model.access import Lease


class SubAccountBody(Camel):
    name: Name


class SubAccountOperations:
    def __init__(self, kit: RestKit, numbers: Numbers) -> None:
        self._kit = kit
        self._numbers = numbers
        self._children = Children(kit.store, kit.clock)

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/v1/sub-accounts", self.every),
            Operation("POST", "/v1/sub-accounts", self.create),
            Operation("PATCH", "/v1/sub-accounts/{child}", self.rename),
            Operation("DELETE", "/v1/sub-accounts/{child}", self.delete),
        ]

    async def every(self, asked: Asked) -> web.Response:
        """Newest first."""
        window = asked.query(Window)
        found = (await self._children.of(asked.org))[::-1]
        rows = found[window.offset : window.offset + window.limit]
        return answer(page([_shown(each) for each in rows], offset=window.offset, total=len(found)))

    async def create(self, asked: Asked) -> web.Response:
        body = asked.body(SubAccountBody)
        return answer(_shown(await self._children.save(asked.org, self._kit.new_id("sub"), body.name)))

    async def rename(self, asked: Asked) -> web.Response:
        body, child = asked.body(SubAccountBody), await self._find(asked)
        return answer(_shown(await self._children.save(asked.org, child.holder, body.name)))

    async def delete(self, asked: Asked) -> web.Response:
        """Only of an empty one: nobody could reach what is in it any more. Raises Refusal 409."""
        child = await self._find(asked)
        org = organisation(asked.org, child.holder)
        if await self._kit.store.agents(org) or await self._numbers.all(org):
            raise Refusal(409, "the sub-account still has agents or numbers; delete and release them first")
        for endpoint in await self._kit.webhooks.list(org):
            await self._kit.webhooks.remove(org, endpoint.id)
        for stored in await self._kit.store.trunks(org):
            await self._kit.store.remove_trunk(org, stored.trunk.name)
        await self._kit.trunks.changed()
        await self._kit.audit(asked.by, "sub-account.delete", child.holder)
        await self._children.drop(child)
        return answer({"success": True, "id": child.holder})

    async def _find(self, asked: Asked) -> Lease:
        found = await self._children.find(asked.org, asked.named("child"))
        if found is None:
            raise missing("there is no such sub-account; GET /v1/sub-accounts lists them")
        return found


def _shown(child: Lease) -> Fields:
    return {"id": child.holder, "name": child.data.get("name"), "createdAt": moment(made_at(child.holder))}

"""`/v1/sip-trunks`: make, list, get, change, delete; a PATCH of nothing makes new credentials."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from omni.gateway.agentphone.answers import answer, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import not_here, unfit, wrong
from omni.gateway.agentphone.shapes import Window
from omni.gateway.agentphone.trunk_shapes import TrunkBody, TrunkChange, shown_trunk
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.trunks.keeping import NOT_SPOKEN, Trunks, new_password
from omni.model.sip import SipTrunk

NOT_SHOWN: Final = (
    "transfer_caller_id: whom a transfer shows is decided by the switchboard that is asked to make it; only transferee "
    "can be set"
)


class TrunkOperations:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit
        self._trunks = Trunks(kit)

    def operations(self) -> list[Operation]:
        one = "/v1/sip-trunks/{trunk}"
        return [
            Operation("GET", "/v1/sip-trunks", self.every),
            Operation("POST", "/v1/sip-trunks", self.create),
            Operation("GET", one, self.get),
            Operation("PATCH", one, self.change),
            Operation("DELETE", one, self.delete),
        ]

    async def every(self, asked: Asked) -> web.Response:
        window = asked.query(Window)
        found = await self._trunks.all(asked.org)
        rows = found[window.offset : window.offset + window.limit]
        uri = self._trunks.inbound_uri
        return answer(page([shown_trunk(each, uri) for each in rows], offset=window.offset, total=len(found)))

    async def create(self, asked: Asked) -> web.Response:
        """Whoever proves the credentials may call from anywhere."""
        body = asked.body(TrunkBody)
        if self._trunks.inbound_uri is None:
            raise not_here(NOT_SPOKEN)
        name = self._kit.new_id("trunk").lower()
        trunk = SipTrunk(
            name=name,
            org=asked.org,
            description=body.name,
            inbound_username=name,
            inbound_password=new_password(),
        )
        known = await self._trunks.create(asked.by, trunk)
        return answer(shown_trunk(known, self._trunks.inbound_uri, with_password=True))

    async def get(self, asked: Asked) -> web.Response:
        return answer(shown_trunk(await self._trunks.get(asked.org, asked.named("trunk")), self._trunks.inbound_uri))

    async def change(self, asked: Asked) -> web.Response:
        name, body = asked.named("trunk"), asked.body(TrunkChange)
        if body.is_nothing:
            if _says_something(asked.text):
                raise unfit("body", "nothing in it can be changed; send no fields at all for new credentials")
            known = await self._trunks.rotate(asked.by, name)
            return answer(shown_trunk(known, self._trunks.inbound_uri, with_password=True))
        if body.transfer_caller_id == "transferor":
            raise wrong(NOT_SHOWN, "transfer_caller_id")
        known = await self._trunks.change(asked.by, name, lambda trunk: _changed(trunk, body))
        return answer(shown_trunk(known, self._trunks.inbound_uri))

    async def delete(self, asked: Asked) -> web.Response:
        name = asked.named("trunk")
        await self._trunks.remove(asked.by, name)
        return answer({"success": True, "id": name})


def _says_something(text: str) -> bool:
    return bool(text.strip()) and json.loads(text) != {}


def _changed(trunk: SipTrunk, body: TrunkChange) -> SipTrunk:
    """Raises Refusal."""
    changes = trunk.model_dump(by_alias=True)
    if body.name is not None:
        changes["description"] = body.name
    if body.transfers is not None:
        changes["transfers"] = body.transfers
    if body.origination is not None:
        host, transport = body.origination.where
        changes |= {"host": host, "transport": transport or "udp"}
    try:
        return SipTrunk.model_validate(changes)
    except ValidationError as error:
        raise wrong(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

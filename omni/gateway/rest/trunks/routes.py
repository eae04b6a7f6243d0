"""`/v1/sip-trunks`: where calls by SIP come from and go to."""

from __future__ import annotations

from pydantic import ValidationError

from omni.gateway.rest.errors import refuse
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Deleted, Nothing, Page, Paging
from omni.gateway.rest.trunks.keeping import Trunks, new_password
from omni.gateway.rest.trunks.shapes import (
    TrunkCreate,
    TrunkPatch,
    TrunkShown,
    TrunkWithPassword,
    shown_trunk,
    with_password,
)
from omni.model.sip import SipTrunk

TAG = "SIP trunks"


class TrunkRoutes:
    def __init__(self, trunks: Trunks) -> None:
        self._trunks = trunks

    def routes(self) -> list[Route]:
        one = "/v1/sip-trunks/{trunk_id}"
        return [
            route(
                "POST", "/v1/sip-trunks", self.create_trunk, tag=TAG, summary="Add a SIP trunk",
                body=TrunkCreate, answer=TrunkWithPassword, status=201, errors=(409, 422),
            ),
            route(
                "GET", "/v1/sip-trunks", self.list_trunks, tag=TAG, summary="List SIP trunks",
                query=Paging, answer=Page[TrunkShown],
            ),
            route("GET", one, self.get_trunk, tag=TAG, summary="Get a SIP trunk", answer=TrunkShown, errors=(404,)),
            route(
                "PATCH", one, self.update_trunk, tag=TAG, summary="Change a SIP trunk",
                body=TrunkPatch, answer=TrunkShown, errors=(404, 409, 422),
            ),
            route("DELETE", one, self.delete_trunk, tag=TAG, summary="Remove a SIP trunk",
                  answer=Deleted, errors=(404, 409)),
            route(
                "POST", f"{one}/rotate-password", self.rotate_password, tag=TAG,
                summary="Give a SIP trunk a new inbound password", answer=TrunkWithPassword, errors=(404, 409),
            ),
        ]  # fmt: skip

    async def create_trunk(self, wanted: Wanted[TrunkCreate, Nothing]) -> TrunkWithPassword:
        """Calls come and go by it within seconds. Of the secrets only the inbound password is ever shown, here."""
        given = wanted.body.model_dump(by_alias=True, exclude_unset=True)
        if given.get("inbound_username") is not None and given.get("inbound_password") is None:
            given["inbound_password"] = new_password()
        try:
            trunk = SipTrunk.model_validate({**given, "org": wanted.org})
        except ValidationError as error:
            refuse(error, status=422)
        return with_password(await self._trunks.create(wanted.by, trunk), self._trunks.inbound_uri)

    async def list_trunks(self, wanted: Wanted[Nothing, Paging]) -> Page[TrunkShown]:
        """By name; those of the server's settings, too."""
        question = f"sip-trunks {wanted.org}"
        after = opened(question, wanted.query.cursor) or ""
        rest = [each for each in await self._trunks.all(wanted.org) if each.trunk.name > after]
        rows = rest[: wanted.query.limit]
        cursor = closed(question, rows[-1].trunk.name) if len(rest) > len(rows) else None
        return Page[TrunkShown].of([shown_trunk(each, self._trunks.inbound_uri) for each in rows], cursor)

    async def get_trunk(self, wanted: Wanted[Nothing, Nothing]) -> TrunkShown:
        return shown_trunk(await self._trunks.get(wanted.org, wanted.path["trunk_id"]), self._trunks.inbound_uri)

    async def update_trunk(self, wanted: Wanted[TrunkPatch, Nothing]) -> TrunkShown:
        """It counts for calls that begin within seconds; those under way go on as they began."""

        def change(trunk: SipTrunk) -> SipTrunk:
            try:
                return trunk.changed(wanted.body)
            except ValidationError as error:
                refuse(error, status=422)

        known = await self._trunks.change(wanted.by, wanted.path["trunk_id"], change)
        return shown_trunk(known, self._trunks.inbound_uri)

    async def delete_trunk(self, wanted: Wanted[Nothing, Nothing]) -> Deleted:
        """Nobody who calls by it is answered within seconds; calls under way go on. One that a channel names is kept:
        connect the channel again without it first."""
        name = wanted.path["trunk_id"]
        await self._trunks.remove(wanted.by, name)
        return Deleted(id=name, object="sip_trunk")

    async def rotate_password(self, wanted: Wanted[Nothing, Nothing]) -> TrunkWithPassword:
        """The old one is good for nothing within seconds."""
        return with_password(await self._trunks.rotate(wanted.by, wanted.path["trunk_id"]), self._trunks.inbound_uri)

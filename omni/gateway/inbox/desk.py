"""What a team keeps for its work: canned replies, saved views, labels."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field, JsonValue, StringConstraints

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.queries import invalid
from omni.model.base import Config
from omni.model.desk import CannedReply, DeskItem, Label, SavedView
from omni.store.base import VersionConflictError

Kind = Literal["canned", "view", "label"]

PLURAL: Final[dict[str, Kind]] = {"canned": "canned", "views": "view", "labels": "label"}
MOST: Final = 500
"""Things of one kind in an organisation."""

LARGEST_FILTER: Final = 4_096
RACES: Final = 5

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^,]*$")]
Colour = Literal["grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"]


class CannedBody(Config):
    name: Name
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
    language: str | None = Field(default=None, max_length=10)
    shared: bool = False


class ViewBody(Config):
    name: Name
    filter: dict[str, JsonValue] = Field(default_factory=dict, max_length=20)
    shared: bool = False


class LabelBody(Config):
    """Labels are always the team's."""

    name: Name
    colour: Colour = "grey"
    shared: bool = True


class CannedChange(Config):
    name: Name | None = None
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)] | None = None
    language: str | None = Field(default=None, max_length=10)
    shared: bool | None = None


class ViewChange(Config):
    name: Name | None = None
    filter: dict[str, JsonValue] | None = Field(default=None, max_length=20)
    shared: bool | None = None


class LabelChange(Config):
    name: Name | None = None
    colour: Colour | None = None
    shared: bool | None = None


_NEW: Final[dict[Kind, type[CannedBody | ViewBody | LabelBody]]] = {
    "canned": CannedBody,
    "view": ViewBody,
    "label": LabelBody,
}
_CHANGED: Final[dict[Kind, type[CannedChange | ViewChange | LabelChange]]] = {
    "canned": CannedChange,
    "view": ViewChange,
    "label": LabelChange,
}
_MADE: Final[dict[Kind, type[CannedReply | SavedView | Label]]] = {
    "canned": CannedReply,
    "view": SavedView,
    "label": Label,
}


class Desk:
    """An operator sees the team's things and their own. The team's are for admins to change."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        wrap = self._kit.wrap
        routes: list[web.RouteDef] = []
        for plural, kind in PLURAL.items():
            one = _OfKind(self._kit, plural, kind)
            path = f"/v1/inbox/{plural}"
            routes += [
                web.get(path, wrap("viewer", one.everything)),
                web.post(path, wrap("agent", one.add)),
                web.patch(f"{path}/{{item}}", wrap("agent", one.change)),
                web.delete(f"{path}/{{item}}", wrap("agent", one.remove)),
            ]
        return routes


class _OfKind:
    def __init__(self, kit: Kit, plural: str, kind: Kind) -> None:
        self._kit = kit
        self._plural = plural
        self._kind = kind

    async def everything(self, _: web.Request, actor: Actor) -> web.Response:
        found = await self._kit.store.items(actor.org, self._kind)
        shown: list[JsonValue] = [_shown(item) for item in found if item.owner in (None, actor.id)]
        return answer({self._plural: shown})

    async def add(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, _NEW[self._kind])
        shared = self._kind == "label" or body.shared
        _check_shared(actor, shared=shared)
        fields = body.model_dump(exclude={"shared"})
        _check_filter(fields)
        if len(await self._kit.store.items(actor.org, self._kind)) >= MOST:
            raise InboxError(409, "changed", f"there are {MOST} of these already; remove some first")
        owner = None if shared else actor.id
        item = _MADE[self._kind](id=self._kit.new_id("itm"), org=actor.org, owner=owner, **fields)
        await self._kit.guard.audit(actor, request, f"{self._kind}.add", item.id, name=item.name, shared=shared)
        try:
            saved = await self._kit.store.save_item(item)
        except VersionConflictError:
            raise _name_taken(item.name) from None
        return answer(_shown(saved), 201)

    async def change(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, _CHANGED[self._kind])
        changes = body.model_dump(exclude_unset=True, exclude={"shared"})
        changes = {name: value for name, value in changes.items() if value is not None or name == "language"}
        _check_filter(changes)
        is_noted = False
        for _ in range(RACES):
            item = await self._find(request, actor)
            shared = item.owner is None if body.shared is None or self._kind == "label" else body.shared
            _check_shared(actor, shared=shared or item.owner is None)
            owner = None if shared else item.owner or actor.id
            changed = item.model_copy(update={**changes, "owner": owner})
            if not is_noted:
                await self._kit.guard.audit(actor, request, f"{self._kind}.change", item.id, name=changed.name)
                is_noted = True
            try:
                return answer(_shown(await self._kit.store.save_item(changed)))
            except VersionConflictError:
                others = await self._kit.store.items(actor.org, self._kind)
                if any((each.name, each.owner) == (changed.name, owner) and each.id != item.id for each in others):
                    raise _name_taken(changed.name) from None
        raise InboxError(409, "changed", "others change this all the time; try again")

    async def remove(self, request: web.Request, actor: Actor) -> web.Response:
        item = await self._find(request, actor)
        _check_shared(actor, shared=item.owner is None)
        await self._kit.guard.audit(actor, request, f"{self._kind}.remove", item.id, name=item.name)
        await self._kit.store.remove_item(actor.org, item.id)
        return answer({})

    async def _find(self, request: web.Request, actor: Actor) -> DeskItem:
        wanted = request.match_info["item"]
        for item in await self._kit.store.items(actor.org, self._kind):
            if item.id == wanted and item.owner in (None, actor.id):
                return item
        raise InboxError(404, "not_found", f"there is nothing of this id; GET /v1/inbox/{self._plural} lists them")


def _shown(item: DeskItem) -> JsonValue:
    shown = item.model_dump(mode="json", exclude={"org", "owner", "version", "kind"})
    return {**shown, "shared": item.owner is None}


def _check_shared(actor: Actor, *, shared: bool) -> None:
    if shared and not actor.may("admin"):
        raise InboxError(403, "forbidden", "what the whole team has only admins may change; ask one")


def _check_filter(fields: dict[str, Any]) -> None:
    if len(str(fields.get("filter", ""))) > LARGEST_FILTER:
        raise invalid("filter", "it is too large; save a simpler view")


def _name_taken(name: str) -> InboxError:
    return invalid("name", f"there is one called {name!r} already; choose another name")

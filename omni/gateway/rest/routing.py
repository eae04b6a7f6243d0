"""The table of routes: what the server listens to and what the OpenAPI document says are made from the same rows."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from omni.gateway.rest.errors import ApiError, refuse
from omni.gateway.rest.shapes import Nothing
from omni.model.access import ApiKey

Method = Literal["GET", "POST", "PATCH", "DELETE"]

_PLACEHOLDER: Final = re.compile(r"{(\w+)}")
_NAME: Final = re.compile(r"[\x21-\x7e]{1,2048}")
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the bearer of a key. `address` is where from, for the audit; `act` names this request for good: the
    same `Idempotency-Key` of the same key gives the same."""

    key: ApiKey
    address: str
    act: str

    @property
    def org(self) -> str:
        return self.key.org

    @property
    def name(self) -> str:
        """As logs and audits have it."""
        return f"key:{self.key.id}"


B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Wanted(Generic[B, Q]):
    """A request that was read: `path` has the names in it, `body` and `query` are as their shapes say."""

    by: Caller
    path: Mapping[str, str]
    body: B
    query: Q
    request: web.Request = field(repr=False)

    @property
    def org(self) -> str:
        return self.by.org


Handle = Callable[[web.Request, Caller, str], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `answer` None: it answers with `media` instead of JSON. `errors` are the statuses that are its
    own, beside those that all have. `query` and `body` are empty shapes where there is nothing to say."""

    method: Method
    path: str
    operation: str
    tag: str
    summary: str
    description: str
    handle: Handle
    body: type[BaseModel]
    query: type[BaseModel]
    answer: type[BaseModel] | None
    status: int
    media: str
    errors: Sequence[int]

    @property
    def names(self) -> list[str]:
        """The names in its path."""
        return _PLACEHOLDER.findall(self.path)


def route(
    method: Method,
    path: str,
    handler: Callable[[Wanted[B, Q]], Awaitable[A]],
    *,
    tag: str,
    summary: str,
    answer: type[A],
    body: type[B] = Nothing,  # type: ignore[assignment]  # the empty shape is what B is when none is given
    query: type[Q] = Nothing,  # type: ignore[assignment]
    status: int = 200,
    errors: Sequence[int] = (),
) -> Route:
    """A row whose answer is JSON. The handler's name is the operation's, its docstring the description."""

    async def handle(request: web.Request, by: Caller, text: str) -> web.StreamResponse:
        shown = await handler(_wanted(request, by, text, body, query))
        return web.Response(status=status, text=shown.model_dump_json(), content_type=JSON)

    return Route(
        method,
        path,
        _operation(handler),
        tag,
        summary,
        _told(handler),
        handle,
        body,
        query,
        answer,
        status,
        JSON,
        errors,
    )


def stream(
    path: str,
    handler: Callable[[Wanted[Nothing, Q]], Awaitable[web.StreamResponse]],
    *,
    tag: str,
    summary: str,
    media: str,
    query: type[Q] = Nothing,  # type: ignore[assignment]
    errors: Sequence[int] = (),
) -> Route:
    """A row that answers with something else than one JSON object."""

    async def handle(request: web.Request, by: Caller, text: str) -> web.StreamResponse:
        return await handler(_wanted(request, by, text, Nothing, query))

    return Route(
        "GET", path, _operation(handler), tag, summary, _told(handler), handle, Nothing, query, None, 200, media, errors
    )


def _operation(handler: Callable[..., object]) -> str:
    return str(getattr(handler, "__name__", "operation"))


def _told(handler: Callable[..., object]) -> str:
    return " ".join((handler.__doc__ or "").split())


def _wanted(request: web.Request, by: Caller, text: str, body: type[B], query: type[Q]) -> Wanted[B, Q]:
    path = dict(request.match_info)
    for value in path.values():
        if _NAME.fullmatch(value) is None:  # nothing of ours is called so
            raise ApiError(404, "not_found", "there is no such thing; ids are printable characters without spaces")
    asked = _query(request, query)
    try:
        return Wanted(by, path, body.model_validate_json(text or "{}", strict=True), asked, request)
    except ValidationError as error:
        refuse(error)


def _query(request: web.Request, shape: type[Q]) -> Q:
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise ApiError(400, "invalid", f"{name[:80]}: it is given twice; give it once", name[:80])
        given[name] = value
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        refuse(error)


def allowed_at(routes: Sequence[Route], path: str) -> list[str]:
    """The methods that a path knows; empty when there is no such path."""
    found = {route.method for route in routes if _pattern(route.path).fullmatch(path)}
    return sorted({*found, *(["HEAD"] if "GET" in found else [])})


def _pattern(path: str) -> re.Pattern[str]:
    literal = [re.escape(part) for part in _PLACEHOLDER.split(path)[::2]]
    return re.compile("[^/]+".join(literal))


def sorted_routes(routes: Sequence[Route]) -> list[Route]:
    """Fixed words before names at the same place: `/v1/calls/search` is not the call `search`."""
    return sorted(routes, key=lambda each: _PLACEHOLDER.sub("~", each.path))

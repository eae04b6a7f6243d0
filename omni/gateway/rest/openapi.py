"""The OpenAPI 3.1 document, made from the table of routes and the shapes that the server reads and writes with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from omni.gateway.rest.errors import ErrorBody
from omni.gateway.rest.idempotency import HEADER, LONGEST
from omni.gateway.rest.routing import Route, sorted_routes
from omni.gateway.rest.shapes import Nothing

PATH: Final = "/v1/openapi.json"
REF: Final = "#/components/schemas/{model}"

Json = dict[str, JsonValue]

_STATUSES: Final = {
    400: "Malformed, ill-typed, or a field that is not known; `param` names it.",
    401: "No API key, or one that is not valid.",
    404: "There is no such thing, or it is another organisation's.",
    409: "Not as things are now.",
    413: "Too large.",
    416: "This part of the file is not there.",
    422: "Well-formed, and contradicts itself or what there is.",
    429: "Too many requests; `Retry-After` says in how many seconds to ask again.",
    503: "An engine is away; `Retry-After` says in how many seconds to ask again.",
}
_ABOUT: Final = (
    "One bot on every channel. Send `Authorization: Bearer <API key>` with every request. Lists come in pages: give "
    "`next_cursor` as `cursor` for the next. A POST with an `Idempotency-Key` acts once within 24 hours, however often "
    "it is sent. Times are epoch seconds. Every answer has an `X-Request-ID`, which the server's log names, too."
)
_NAMES: Final = {
    "agent_id": "The agent's id (its slug).",
    "call_id": "The call's id.",
    "channel_id": "The channel's id, such as `sms:+14155559999`.",
    "contact_id": "The contact's id.",
    "conversation_id": "The conversation's id.",
    "delivery_id": "The delivery's id.",
    "key_id": "The key's id.",
    "message_id": "The message's id.",
    "part": "The part's place in the message, from 0.",
    "trunk_id": "The SIP trunk's id (its name).",
    "webhook_id": "The webhook's id.",
}


def document(routes: Sequence[Route], version: str) -> Json:
    """Without `servers`: the address it was asked at is the server."""
    models = [*_models(routes)]
    found, schemas = models_json_schema(models, ref_template=REF)
    refs: Refs = {(shape, mode): ref for (shape, mode), ref in found.items() if issubclass(shape, BaseModel)}
    paths: dict[str, JsonValue] = {}
    for route in sorted_routes(routes):
        operations = paths.setdefault(route.path, {})
        assert isinstance(operations, dict)
        operations[route.method.lower()] = _operation(route, refs)
    tags: list[JsonValue] = [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)]
    return {
        "openapi": "3.1.0",
        "info": {"title": "omni", "version": version, "description": _ABOUT},
        "security": [{"key": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": dict(schemas.get("$defs", {})),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, `pk_…`."}},
        },
    }


Refs = dict[tuple[type[BaseModel], JsonSchemaMode], Json]


def _models(routes: Iterable[Route]) -> Iterable[tuple[type[BaseModel], JsonSchemaMode]]:
    yield ErrorBody, "serialization"
    for route in routes:
        if route.body is not Nothing:
            yield route.body, "validation"
        if route.answer is not None:
            yield route.answer, "serialization"


def _operation(route: Route, refs: Refs) -> Json:
    parameters: list[JsonValue] = [
        {"name": name, "in": "path", "required": True, "description": _NAMES[name], "schema": {"type": "string"}}
        for name in route.names
    ]
    parameters += _query(route.query)
    if route.method == "POST":
        about = "Send the same again with the same one, and it acts once."
        shape: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"}
        parameters.append({"name": HEADER, "in": "header", "description": about, "schema": shape})
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters,
        "responses": _responses(route, refs),
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not Nothing:
        content: JsonValue = {"application/json": {"schema": refs[route.body, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _query(shape: type[BaseModel]) -> list[JsonValue]:
    if shape is Nothing:
        return []
    schema = shape.model_json_schema(ref_template=REF)
    assert "$defs" not in schema, f"{shape.__name__}: a query's shape has no shapes inside"
    required = schema.get("required", [])
    found: list[JsonValue] = []
    for name, field in schema["properties"].items():
        options = [one for one in field.get("anyOf", []) if one != {"type": "null"}]
        plain = {key: value for key, value in field.items() if key not in ("anyOf", "default", "title", "description")}
        if options:
            plain |= options[0] if len(options) == 1 else {"anyOf": options}
        if field.get("default") is not None:
            plain["default"] = field["default"]
        parameter: Json = {"name": name, "in": "query", "required": name in required, "schema": plain}
        if about := field.get("description") or plain.pop("description", None):
            parameter["description"] = about
        found.append(parameter)
    return found


def _responses(route: Route, refs: Refs) -> Json:
    if route.answer is not None:
        shape: JsonValue = {"application/json": {"schema": refs[route.answer, "serialization"]}}
    else:
        shape = {"*/*" if route.media == "application/octet-stream" else route.media: {}}
    responses: Json = {str(route.status): {"description": "Done.", "headers": _HEADERS, "content": shape}}
    if route.media == "application/octet-stream":
        responses["206"] = {"description": "The part that was asked for.", "content": {"*/*": {}}}
    statuses = {400, 401, 429, 503, *route.errors}
    if route.method == "POST":
        statuses |= {409}
    if route.method in ("POST", "PATCH"):
        statuses |= {413}
    for status in sorted(statuses):
        error: JsonValue = {"application/json": {"schema": refs[ErrorBody, "serialization"]}}
        responses[str(status)] = {"description": _STATUSES[status], "headers": _HEADERS, "content": error}
    return responses


_HEADERS: Final[Json] = {"X-Request-ID": {"description": "The request's id.", "schema": {"type": "string"}}}


class OpenApi:
    """Serves the document; anybody may read it."""

    def __init__(self, routes: Sequence[Route], version: str) -> None:
        self.document = document(routes, version)
        self._body = json.dumps(self.document, ensure_ascii=False).encode()
        self._etag = hashlib.sha256(self._body).hexdigest()[:32]

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.serve)]

    async def serve(self, request: web.Request) -> web.Response:
        is_known = self._etag in [etag.value for etag in request.if_none_match or ()]
        response = web.Response(status=304) if is_known else web.Response(body=self._body)
        if not is_known:
            response.content_type, response.charset = "application/json", "utf-8"
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.etag = self._etag
        return response

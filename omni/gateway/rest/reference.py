"""`/docs/api`: the OpenAPI document as a page to read. No script, and nothing of anybody else's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from aiohttp import hdrs, web

PATH: Final = "/docs/api"
STYLE: Final = Path(__file__).parent / "page" / "reference.css"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-cache",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
DEEPEST: Final = 3
"""Levels of fields that are shown beneath each other."""

Schema = Mapping[str, Any]


class Reference:
    def __init__(self, document: Schema) -> None:
        self._files = {
            PATH: (render(document).encode(), "text/html"),
            f"{PATH}/reference.css": (STYLE.read_bytes(), "text/css"),
        }

    def routes(self) -> list[web.RouteDef]:
        return [*(web.get(path, self.serve) for path in self._files), web.get(f"{PATH}/", self.there)]

    async def there(self, request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect(PATH)

    async def serve(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path]
        etag = hashlib.sha256(body).hexdigest()[:32]
        is_known = etag in [each.value for each in request.if_none_match or ()]
        response = web.Response(status=304) if is_known else web.Response(body=body)
        if not is_known:
            response.content_type, response.charset = kind, "utf-8"
        response.headers.update(HEADERS)
        response.etag = etag
        return response


def render(document: Schema) -> str:
    """The page. Everything in it is escaped: texts of ours, and still texts."""
    writer = _Writer(document["components"]["schemas"])
    tags = [tag["name"] for tag in document["tags"]]
    found = {
        tag: [
            (method, path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if tag in operation["tags"]
        ]
        for tag in tags
    }
    menu = "".join(
        f'<li><a href="#{_slug(tag)}">{escape(tag)}</a><ul>'
        + "".join(f'<li><a href="#{op["operationId"]}">{escape(op["summary"])}</a></li>' for _, _, op in found[tag])
        + "</ul></li>"
        for tag in tags
    )
    sections = "".join(
        f'<section aria-labelledby="{_slug(tag)}"><h2 id="{_slug(tag)}">{escape(tag)}</h2>'
        + "".join(writer.operation(method, path, op) for method, path, op in found[tag])
        + "</section>"
        for tag in tags
    )
    about = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        '<title>omni API</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{PATH}/reference.css"></head><body>'
        '<a class="skip" href="#top">Skip to the reference</a>'
        f'<nav aria-label="Contents"><details open><summary>Contents</summary><ul>{menu}</ul></details></nav>'
        f'<main id="top"><h1>omni API <small>{escape(about["version"])}</small></h1>'
        f'<p>{_code(about["description"])}</p><p><a href="/v1/openapi.json">The OpenAPI document</a> says the same '
        f"for machines.</p>{writer.errors()}{sections}</main></body></html>"
    )


class _Writer:
    def __init__(self, schemas: Schema) -> None:
        self._schemas = schemas

    def operation(self, method: str, path: str, operation: Schema) -> str:
        id_ = operation["operationId"]
        parts = [
            f'<article aria-labelledby="{id_}"><h3 id="{id_}">{escape(operation["summary"])} ',
            f'<a class="mark" href="#{id_}" aria-label="Link to this">#</a></h3>',
            f'<p class="at"><span class="method {method}">{method.upper()}</span> <code>{_path(path)}</code></p>',
        ]
        if about := operation.get("description"):
            parts.append(f"<p>{_code(about)}</p>")
        for place, title in (("path", "In the path"), ("query", "In the query")):
            fields = [each for each in operation["parameters"] if each["in"] == place]
            if fields:
                rows = "".join(
                    self._row(each["name"], each["schema"], each.get("required", False), each.get("description"))
                    for each in fields
                )
                parts.append(f"<h4>{title}</h4><dl>{rows}</dl>")
        if (asked := operation.get("requestBody")) is not None:
            schema = asked["content"]["application/json"]["schema"]
            parts.append(f"<h4>Body</h4>{self._object(schema, asked=True)}")
        parts.append(self._answers(operation["responses"]))
        return "".join(parts) + "</article>"

    def errors(self) -> str:
        schema = {"$ref": "#/components/schemas/ErrorDetail"}
        about = '<p>A refusal is answered with <code>{"error": {…}}</code>, which has these fields.</p>'
        fields = self._object(schema)
        return f'<section aria-labelledby="errors"><h2 id="errors">Errors</h2>{about}{fields}</section>'

    def _answers(self, responses: Schema) -> str:
        parts: list[str] = []
        refusals: list[str] = []
        for status, response in responses.items():
            if int(status) >= 400:
                refusals.append(f"<li><code>{status}</code> {_code(response['description'])}</li>")
                continue
            kind, content = next(iter(response["content"].items()))
            inner = self._object(content["schema"]) if "schema" in content else f"<p><code>{escape(kind)}</code></p>"
            parts.append(f"<h4>Answer <code>{status}</code></h4>{inner}")
        return "".join(parts) + f"<details><summary>Errors of this call</summary><ul>{''.join(refusals)}</ul></details>"

    def _object(self, schema: Schema, depth: int = 0, *, asked: bool = False) -> str:
        whole = self._found(schema)
        about = f"<p>{_code(whole['description'])}</p>" if whole.get("description") else ""
        options = [self._found(each) for each in (*whole.get("oneOf", ()), *whole.get("anyOf", ()))]
        if options and not whole.get("properties"):
            return about + "".join(
                f"<details><summary>{escape(self._name(each))}</summary>"
                f"{self._object(each, depth, asked=asked)}</details>"
                for each in options
            )
        required = whole.get("required", ()) if asked else ()
        rows = "".join(
            self._row(name, field, name in required, field.get("description"), depth, asked=asked)
            for name, field in sorted(whole.get("properties", {}).items(), key=lambda each: each[0] not in required)
        )
        return f"{about}<dl>{rows}</dl>" if rows else about

    def _row(
        self, name: str, field: Schema, required: bool, about: str | None, depth: int = 0, *, asked: bool = False
    ) -> str:
        need = ' <span class="need">required</span>' if required else ""
        about = about or next((each["description"] for each in field.get("anyOf", ()) if "description" in each), None)
        said = f"<p>{_code(about)}</p>" if about else ""
        limits = "; ".join(self._limits(field))
        said += f'<p class="limits">{escape(limits)}</p>' if limits else ""
        inside = [each for each in self._inside(field) if self._found(each).get("properties")]
        for each in inside if depth < DEEPEST else ():
            title = f"Fields of {name}" if len(inside) == 1 else f"{name}: {self._name(self._found(each))}"
            fields = self._object(each, depth + 1, asked=asked)
            said += f"<details><summary>{escape(title)}</summary>{fields}</details>"
        return f"<dt><code>{escape(name)}</code> <span>{escape(self._type(field))}</span>{need}</dt><dd>{said}</dd>"

    def _inside(self, field: Schema) -> Iterator[Schema]:
        """What a field may be an object of."""
        for each in (field, *field.get("anyOf", ()), *field.get("oneOf", ())):
            yield each
            yield from each.get("oneOf", ())
            if isinstance(each.get("items"), dict):
                yield each["items"]

    def _found(self, schema: Schema) -> Schema:
        ref = schema.get("$ref")
        found: Schema = self._schemas[ref.rpartition("/")[2]] if ref is not None else schema
        return found

    def _name(self, schema: Schema) -> str:
        kind = schema.get("properties", {}).get("kind") or schema.get("properties", {}).get("type") or {}
        return str(kind.get("const") or schema.get("title") or schema.get("type") or "object")

    def _type(self, field: Schema) -> str:
        found = self._found(field)
        if "const" in found:
            return json.dumps(found["const"])
        if "enum" in found:
            return " | ".join(json.dumps(each) for each in found["enum"])
        if options := (*found.get("anyOf", ()), *found.get("oneOf", ())):
            return " | ".join(dict.fromkeys(self._type(each) for each in options))
        if found.get("type") == "array":
            return f"list of {self._type(found.get('items', {}))}"
        return str(found.get("type", "any value"))

    def _limits(self, field: Schema) -> Iterator[str]:
        found = next((each for each in (field, *field.get("anyOf", ())) if each.get("type") != "null"), field)
        if field.get("default") not in (None, "", [], {}) and "const" not in field:
            yield f"default {json.dumps(field['default'])}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("maxLength", "characters at most"),
            ("maxItems", "items at most"),
            ("maxProperties", "pairs at most"),
        ):
            if name in found:
                yield f"{words} {found[name]}"
        if examples := field.get("examples") or found.get("examples"):
            yield "such as " + ", ".join(map(str, examples))


def _code(text: str) -> str:
    """Backquoted words as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


def _path(path: str) -> str:
    return escape(path).replace("/", "/<wbr>")


def _slug(tag: str) -> str:
    return tag.lower().replace(" ", "-")

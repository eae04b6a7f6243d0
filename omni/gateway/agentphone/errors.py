"""What a request is refused with, as AgentPhone's clients read it: `detail`, `message` and `error` in one body.

Clients show `detail`, else `message`; so `error` is never alone. A body or query of the wrong shape is 422, and then
`detail` is a list of `{"loc", "msg", "type"}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import AliasChoices, BaseModel, JsonValue, ValidationError

from omni.gateway.agentphone.answers import packed
from omni.gateway.inbox.asking import InboxError
from omni.gateway.rest.errors import ApiError

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES: Final[Mapping[int, str]] = {
    401: "UNAUTHORIZED",
    402: "INSUFFICIENT_BALANCE",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    429: "RATE_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
}
_MAY_NOT: Final = frozenset({"opted_out", "window_closed"})
"""Refusals of `/v1` that are a 403 here: the destination or number is not one to send to."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that is wrong. `where` is `body`, `query` or `path`."""

    field: str
    message: str
    type: str = "value_error"
    where: str = "body"


class Refusal(Exception):
    """A refusal. `param` names what is wrong; `retry_after` is in seconds. With `problems` it is one of shape."""

    def __init__(
        self,
        status: int,
        sentence: str,
        param: str | None = None,
        *,
        code: str | None = None,
        problems: Sequence[Problem] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.param = param
        fallback = "INTERNAL_ERROR" if status >= 500 else "VALIDATION_ERROR"
        self.code = code or _CODES.get(status, fallback)
        self.problems = tuple(problems)
        self.headers: dict[str, str] = {} if retry_after is None else {"Retry-After": str(retry_after)}


def wrong(sentence: str, param: str | None = None) -> Refusal:
    """A rule is broken by values that are each well-formed."""
    return Refusal(400, sentence, param)


def missing(sentence: str, *, code: str | None = None) -> Refusal:
    return Refusal(404, sentence, code=code)


def unfit(field: str, sentence: str, *, where: str = "body") -> Refusal:
    """One value is not of its shape."""
    return Refusal(422, f"{field}: {sentence}", field, problems=(Problem(field, sentence, where=where),))


def not_here(sentence: str) -> Refusal:
    """Something that only a carrier or a billed host can do, or that this server cannot do yet."""
    return Refusal(501, sentence)


def misshapen(error: ValidationError, where: str, shape: type[BaseModel]) -> Refusal:
    """Fields are named as they are documented, however they were spelled."""
    problems = [
        Problem(
            ".".join(_documented(shape, str(step)) for step in problem["loc"]) or where,
            problem["msg"].removeprefix("Value error, "),
            problem["type"],
            where,
        )
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = problems[0]
    return Refusal(422, f"{first.field}: {first.message}", first.field, problems=problems)


def _documented(shape: type[BaseModel], name: str) -> str:
    for field in shape.model_fields.values():
        spelled = field.validation_alias
        if isinstance(spelled, AliasChoices) and name in spelled.choices:
            return str(spelled.choices[0])
    return name


def of_api(error: ApiError | InboxError) -> Refusal:
    """A refusal of what is shared with `/v1` and the inbox."""
    param = error.param if isinstance(error, ApiError) else error.field
    status = 403 if error.code in _MAY_NOT else error.status
    problems = (Problem(param or "body", str(error)),) if status == 422 else ()
    refusal = Refusal(status, str(error), param, problems=problems)
    refusal.headers.update(error.headers)
    return refusal


def error_response(refusal: Refusal, request_id: str) -> web.Response:
    sentence = str(refusal)
    shaped: list[JsonValue] = [
        {"loc": [each.where, *each.field.split(".")], "msg": each.message, "type": each.type}
        for each in refusal.problems
    ]
    details: list[JsonValue] = [
        {"field": each.field, "message": each.message, "type": each.type} for each in refusal.problems
    ]
    if not details and refusal.param is not None:
        details = [{"field": refusal.param, "message": sentence, "type": "value_error"}]
    fallback = "api_error" if refusal.status >= 500 else "invalid_request_error"
    body: JsonValue = {
        "detail": shaped or sentence,
        "message": sentence,
        "error": {
            "type": _TYPES.get(refusal.status, fallback),
            "code": refusal.code,
            "message": sentence,
            "param": refusal.param,
            "details": details,
            "request_id": request_id,
        },
    }
    return web.Response(
        status=refusal.status, text=packed(body), content_type="application/json", headers=refusal.headers
    )

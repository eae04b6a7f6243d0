"""What a request is refused with: `{"error": {"type", "code", "message", "param", "request_id"}}`.

400 malformed, ill-typed or unknown; 401 no key; 404 not there, or another organisation's; 409 not as things are now;
413 too large; 422 well-formed, and contradicts itself or what is stored; 429 too fast; 503 an engine is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NoReturn

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "rate_limit_error",
    "api_error",
]

_TYPES: Final[Mapping[int, ErrorType]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
}

AWAY: Final = "the server cannot do this right now; try again in a moment"
TOO_LARGE: Final = "the request is larger than 1 MB; send less at once"


class ErrorDetail(BaseModel):
    """`type` is the kind of error, `code` the exact one; `message` is a sentence for a person."""

    type: ErrorType
    code: str
    message: str
    param: str | None = Field(description="The field, query parameter or header that is wrong.")
    request_id: str = Field(description="Also in the header X-Request-ID; the server's log names it.")


class ErrorBody(BaseModel):
    """What every refusal is answered with."""

    error: ErrorDetail


class ApiError(Exception):
    """A refusal. `param` names what is wrong; `retry_after` is in seconds."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers: dict[str, str] = {} if retry_after is None else {"Retry-After": str(retry_after)}


def error_response(error: ApiError, request_id: str) -> web.Response:
    detail = ErrorDetail(
        type=_TYPES.get(error.status, "invalid_request_error"),
        code=error.code,
        message=str(error),
        param=error.param,
        request_id=request_id,
    )
    return web.Response(
        status=error.status,
        text=ErrorBody(error=detail).model_dump_json(),
        content_type="application/json",
        headers=error.headers,
    )


def invalid(param: str, sentence: str) -> ApiError:
    return ApiError(400, "invalid", f"{param}: {sentence}", param)


def contradiction(param: str | None, sentence: str) -> ApiError:
    return ApiError(422, "contradiction", f"{param}: {sentence}" if param else sentence, param)


def missing(what: str, mend: str) -> ApiError:
    return ApiError(404, "not_found", f"there is no such {what}; {mend}")


def conflict(code: str, sentence: str, param: str | None = None) -> ApiError:
    return ApiError(409, code, sentence, param)


def away() -> ApiError:
    return ApiError(503, "unavailable", AWAY, retry_after=2)


def refuse(error: ValidationError, *, prefix: str = "", status: int = 400) -> NoReturn:
    """Raise what is wrong with a body or query first. What only the whole of it shows is a contradiction (422)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = [prefix] if prefix else []
    steps += [str(step) for step in problem["loc"]]
    param = ".".join(steps) or None
    sentence = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and not problem["loc"]:
        raise contradiction(param, sentence) from None
    raise ApiError(
        status, _code(problem), f"{param}: {sentence}" if param else f"the body: {sentence}", param
    ) from None


def _code(problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "unknown_field"
        case "missing":
            return "missing"
        case "json_invalid":
            return "malformed"
        case _:
            return "invalid"

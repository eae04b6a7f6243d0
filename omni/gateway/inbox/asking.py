"""What a page asks for, read at the edge: a body of the right shape, or an error that names the field and the mend."""

from __future__ import annotations

from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, JsonValue, ValidationError

T = TypeVar("T", bound=BaseModel)

TOO_LARGE: Final = "the request is too large; send less at once"
BROKEN: Final = "the body is not compressed as its Content-Encoding says, or broke off; send it again, plain"
NO_STORE: Final = {"Cache-Control": "no-store"}


class InboxError(Exception):
    """A refusal, as the page reads it. `more` stands beside `code` and `message` in the answer's `error`; `beside`
    stands beside `error` itself."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        **beside: JsonValue,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = headers or {}
        self.beside = beside


def error_response(error: InboxError) -> web.Response:
    """`{"error": {"code", "message", "field"?}, …}`."""
    told: dict[str, JsonValue] = {"code": error.code, "message": str(error)}
    if error.field is not None:
        told["field"] = error.field
    body = {"error": told, **error.beside}
    return web.json_response(body, status=error.status, headers={**NO_STORE, **error.headers})


def answer(body: JsonValue, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=NO_STORE)


async def read_body(request: web.Request, shape: type[T]) -> T:
    """The JSON body as `shape`; an empty body is `{}`. Raises InboxError: 422 with the field that is wrong, 413."""
    try:
        text = await request.text()
    except web.HTTPRequestEntityTooLarge:
        raise InboxError(413, "too_large", TOO_LARGE) from None
    except web.RequestPayloadError:
        raise InboxError(400, "invalid", BROKEN) from None
    except (UnicodeDecodeError, LookupError):
        raise InboxError(422, "invalid", "the body is not UTF-8 text; send JSON") from None
    try:
        return shape.model_validate_json(text or "{}")
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(step) for step in problem["loc"]) or None
        what = problem["msg"].removeprefix("Value error, ")
        raise InboxError(422, "invalid", f"{field}: {what}" if field else f"the body: {what}", field) from None

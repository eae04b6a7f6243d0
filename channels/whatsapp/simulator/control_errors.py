"""What the handlers of the control API share: its errors, and JSON in and out."""

from __future__ import annotations

import json
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from channels.whatsapp.simulator.ids import Json

Model = TypeVar("Model", bound=BaseModel)


class ControlError(Exception):
    """A wrong control request; the message is the sentence that is answered."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def answered(body: object, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


async def body_of(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise ControlError("The body is not JSON; send one object.") from None
    if not isinstance(body, dict):
        raise ControlError("The body must be one JSON object.")
    return body


async def changed(request: web.Request, current: Model) -> Model:
    """A copy of a plan with the given keys replaced, checked as a whole."""
    return type(current).model_validate(current.model_dump() | await body_of(request))

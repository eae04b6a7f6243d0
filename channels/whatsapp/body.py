"""A webhook's body, from bytes to JSON."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pydantic_core


class BadBodyError(Exception):
    """A body that is not JSON, or too deep or with numbers too long to read."""


def load(body: bytes) -> Any:
    """Strict JSON. Raises BadBodyError; a body that this refuses may still be good enough for `load_odd`."""
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadBodyError(str(error)[:200]) from None


def load_odd(body: bytes) -> Any:
    """JSON with deeper nesting or unpaired surrogates than `load` takes; slower. Raises BadBodyError.

    Call it in a thread of its own: how deep it can read depends on how deep the stack is already.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise BadBodyError("nested too deeply") from None
    except ValueError as error:
        raise BadBodyError(str(error)[:200]) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")

"""Models as JSON text, by pydantic's compiled paths, and text that SQLite can hold."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from omni.model.entry import Fact, fact_json


def document(model: BaseModel) -> str:
    """A model whose None fields are None by default."""
    try:
        return model.model_dump_json(by_alias=True, exclude_none=True)
    except PydanticSerializationError:  # half a surrogate pair: rare enough for the slow way
        return json.dumps(_mended(model.model_dump(by_alias=True, exclude_none=True)), ensure_ascii=False)


def fact_document(fact: Fact) -> str:
    try:
        return fact_json(fact)
    except PydanticSerializationError:
        mended = _mended(fact.model_dump(by_alias=True, exclude_none=True))
        return json.dumps(mended["data"] if fact_is_foreign(fact) else mended, ensure_ascii=False)


def fact_is_foreign(fact: Fact) -> bool:
    return type(fact).model_fields["type"].is_required()


def text(value: str) -> str:
    """Text that UTF-8 can write: half a surrogate pair becomes a replacement character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _mended(value: Any) -> Any:
    match value:
        case str():
            return text(value)
        case dict():
            return {text(key): _mended(each) for key, each in value.items()}
        case list() | tuple():
            return [_mended(each) for each in value]
        case _:
            return value

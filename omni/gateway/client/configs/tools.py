"""The tools a program declares, in the shapes that programs write them in."""

from __future__ import annotations

from pydantic import JsonValue, ValidationError

from omni.gateway.client.configs.reading import ConfigError, kind_of
from omni.model.behaviour import Tool

MAX_TOOLS = 256


def tools_of(value: JsonValue) -> tuple[Tool, ...] | None:
    """`{"type": "function", "function": {…}}`, the same flat, or an SDK's own tool object with `_jsonSchema`.

    Of two tools with one name the last counts. Raises ConfigError.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        raise ConfigError(f"`tools` is a list, not {kind_of(value)}")
    if len(value) > MAX_TOOLS:
        raise ConfigError(f"`tools` has {len(value)} tools; at most {MAX_TOOLS} are taken")
    found = [_tool(place, one) for place, one in enumerate(value)]
    return tuple({tool.name: tool for tool in found}.values())


def _tool(place: int, value: JsonValue) -> Tool:
    if not isinstance(value, dict):
        raise ConfigError(f"`tools.{place}` is an object, not {kind_of(value)}")
    nested = value.get("function")
    flat = nested if isinstance(nested, dict) else value
    parameters = next((flat[key] for key in ("_jsonSchema", "parameters") if isinstance(flat.get(key), dict)), None)
    given = {"name": flat.get("name"), "description": flat.get("description") or ""}
    if parameters:
        given["parameters"] = parameters
    try:
        return Tool.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ConfigError(f"`tools.{place}.{'.'.join(map(str, first['loc']))}`: {first['msg']}") from None

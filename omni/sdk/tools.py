"""Functions that the model may call: their types are the schema, their docstring tells the model what they are for."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, ParamSpec, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from omni.sdk.docstrings import parts_of
from omni.sdk.errors import ConfigError, ToolError
from omni.sdk.plain import plain

log = logging.getLogger("omni.sdk")

P = ParamSpec("P")
R = TypeVar("R")

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool returns when there is more to say than its value.

    `ephemeral`: the model reads it now, and it is not kept in the history. `no_followup`: the model need not answer it.
    """

    value: Any
    ephemeral: bool = False
    no_followup: bool = False


class Tool(Generic[P, R]):
    """A function with its schema; calling it calls the function."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        ephemeral: bool = False,
        no_followup: bool = False,
    ) -> None:
        self._function = function
        functools.update_wrapper(self, function)
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"a tool cannot be called {self.name!r}: letters, digits, _ and -, at most 64 of them")
        self.ephemeral = ephemeral
        self.no_followup = no_followup
        about, documented = parts_of(inspect.getdoc(function) or "")
        self.description = about if description is None else description
        self._fields, self._wants_call, self._arguments = _arguments_model(function, self.name, documented)
        self.parameters: dict[str, Any] = _without_titles(self._arguments.model_json_schema(by_alias=True))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    def wire(self) -> dict[str, Any]:
        """As OpenAI and the server describe a tool."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    async def answer(self, arguments: str, call: object) -> ToolResult:
        """Runs the function on the model's JSON text. Whatever goes wrong is a result that the model can read.

        A function that is no coroutine function runs in a thread of its own.
        """
        try:
            checked = self._arguments.model_validate_json(arguments or "{}")
        except ValidationError as error:
            return ToolResult({"error": _what_is_wrong(error)})
        values = {alias: getattr(checked, field) for field, alias in self._fields.items()}
        values |= checked.__pydantic_extra__ or {}
        if self._wants_call:
            values["call"] = call
        try:
            value = await self._run(values)
            result = value if isinstance(value, ToolResult) else ToolResult(value)
            wire = plain(result.value, "its result", fallback=str)
        except ToolError as error:
            return ToolResult({"error": str(error)})
        except Exception as error:
            log.exception("the tool %s failed; its arguments were %s", self.name, arguments[:500])
            return ToolResult({"error": f"{self.name} failed: {str(error) or type(error).__name__}"})
        return ToolResult(
            wire,
            ephemeral=result.ephemeral or self.ephemeral,
            no_followup=result.no_followup or self.no_followup,
        )

    async def _run(self, values: dict[str, Any]) -> Any:
        function: Callable[..., Any] = self._function
        if inspect.iscoroutinefunction(function):
            return await function(**values)
        outcome = await asyncio.to_thread(function, **values)
        return await outcome if inspect.isawaitable(outcome) else outcome

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, ephemeral: bool = False, no_followup: bool = False
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a tool: `@tool`, or `@tool(name=…, ephemeral=True)`.

    Its parameters need types; a parameter `call` gets the Call and is not shown to the model. What the docstring says
    under `Args:` describes the parameters. Raises ConfigError for what no schema can be made of.
    """
    if function is not None:
        return Tool(function)
    return lambda decorated: Tool(decorated, **options)


def _arguments_model(
    function: Callable[..., Any], name: str, documented: dict[str, str]
) -> tuple[dict[str, str], bool, type[BaseModel]]:
    """Fields of the arguments by their parameter, whether the function wants the call, and the model of them all."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"the types of tool {name} cannot be read: {error}; import them where it is defined"
        ) from None
    aliases: dict[str, str] = {}
    fields: dict[str, Any] = {}
    wants_call = False
    extra: Literal["forbid", "allow"] = "forbid"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "call":
            wants_call = True
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "allow"
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise ConfigError(
                f"the parameter {parameter.name!r} of tool {name} has no name for the model; drop the * or /"
            )
        if parameter.name not in hints:
            raise ConfigError(
                f"the parameter {parameter.name!r} of tool {name} has no type; write for instance {parameter.name}: str"
            )
        field = f"field_{len(aliases)}"  # a parameter may have a name that a model's field must not
        aliases[field] = parameter.name
        annotation = hints[parameter.name]
        if parameter.name in documented:
            annotation = Annotated[annotation, Field(description=documented[parameter.name])]
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[field] = (annotation, Field(default, alias=parameter.name))
    try:
        model = create_model(name, __config__=ConfigDict(extra=extra), **fields)
    except (PydanticUserError, TypeError) as error:
        raise ConfigError(f"no schema can be made of the types of tool {name}: {error}") from None
    return aliases, wants_call, model


def _what_is_wrong(error: ValidationError) -> str:
    wrong = ((".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_url=False))
    return "wrong arguments: " + "; ".join(f"{where}: {what}" if where else what for where, what in wrong)


def _without_titles(schema: Any) -> Any:
    """The titles that pydantic makes of names tell a model nothing."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(schema, list):
        return [_without_titles(one) for one in schema]
    return schema

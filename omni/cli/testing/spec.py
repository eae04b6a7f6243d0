"""What a test says: an agent, and how to judge it, by a model (`workflow`) or by rules (`turns`)."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from omni.cli.testing.reading import read
from omni.model.base import Config, Value

ENDINGS: Final = (".spec.yaml", ".spec.yml")
LARGEST: Final = 1024 * 1024


class SpecError(Exception):
    """A spec that cannot be run; the text names the field and the mend."""


def _seconds(value: Any) -> Any:
    """`45s`, or milliseconds."""
    text = str(value).strip()
    number, unit = (text[:-1], 1.0) if text.endswith("s") else (text, 0.001)
    try:
        return float(number) * unit
    except ValueError:
        raise ValueError("write milliseconds, or seconds as in 45s") from None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _expression(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write a regular expression")  # noqa: TRY004 - pydantic reports ValueErrors
    try:
        return re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None


def _tool(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Expression = Annotated[re.Pattern[str], BeforeValidator(_expression)]
Expressions = Annotated[tuple[Expression, ...], BeforeValidator(_listed)]


class ExpectedTool(Config):
    """A tool that the agent must call. An argument's expression must match all of its value: a text as it is, anything
    else as JSON."""

    name: Text
    arguments: dict[str, Expression] = Field(default_factory=dict)


ExpectedTools = Annotated[tuple[Annotated[ExpectedTool, BeforeValidator(_tool)], ...], BeforeValidator(_listed)]


class Turn(Config):
    """What is said, and what must hold of the answer: expressions that are found in it, or are not; tools that are
    called for it, or are not."""

    say: Text
    expect: Expressions = ()
    expect_not: Expressions = ()
    expect_tool: ExpectedTools = ()
    expect_no_tool: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()


class JudgeChoice(Value):
    """The model that plays the user and decides; None leaves the choice to the variables."""

    model_config = ConfigDict(populate_by_name=True)

    provider: Literal["anthropic", "openai", "google", "deepseek", "ollama"] | None = None
    model: Text | None = None
    max_turns: int = Field(default=20, alias="maxTurns", ge=1, le=1000)


class Spec(Value):
    """One test. `timeout` is in seconds, for each answer; in the file it is milliseconds, or `45s`."""

    agent: Text
    description: str = ""
    workflow: Text | None = None
    turns: tuple[Turn, ...] = Field(default=(), max_length=1000)
    timeout: Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=3600)] = 30.0
    judge: JudgeChoice = JudgeChoice()
    mode: Literal["chat", "voice"] = "chat"

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if self.workflow is None and not self.turns:
            raise ValueError("the field `workflow` is missing: say there what the judge does, and what must hold")
        return self


_VOICE: Final = frozenset({"voice", "stt", "language", "greeting", "detectTurnEnd"})
"""What voice mode reads."""
KNOWN: Final = frozenset(Spec.model_fields) | _VOICE


def parse(text: str) -> tuple[Spec, list[str]]:
    """The spec, and remarks on fields that nobody reads. Raises SpecError."""
    try:
        values = read(text)
        spec = Spec.model_validate({key: value for key, value in values.items() if value != ""})
    except ValidationError as error:
        raise SpecError(_sentence(error)) from None
    except RecursionError:
        raise SpecError("it is nested too deeply") from None
    except ValueError as error:
        raise SpecError(str(error)) from None
    return spec, [_unknown(key) for key in values if key not in KNOWN]


def load(path: Path) -> tuple[Spec, list[str]]:
    """Raises SpecError."""
    try:
        if path.stat().st_size > LARGEST:
            raise SpecError(f"it is larger than {LARGEST:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"it cannot be read: {error}") from None
    return parse(text)


def discover(path: Path) -> list[Path]:
    """The file itself, or a folder's specs in the order of their names; folders in it are not looked into."""
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.iterdir() if one.name.endswith(ENDINGS) and one.is_file())


def _sentence(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    what = problem["msg"].removeprefix("Value error, ")
    steps = [str(step + 1) if isinstance(step, int) else step for step in problem["loc"]]
    where = " ".join(steps).replace("turns ", "turn ", 1)
    if problem["type"] == "missing":
        return f"the field `{where}` is missing"
    return f"`{where}`: {what}" if where else what


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KNOWN, n=1)
    return f"`{key}` is no field of a spec and is not read" + (f"; did you mean `{near[0]}`?" if near else "")

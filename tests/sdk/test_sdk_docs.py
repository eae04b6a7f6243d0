"""What docs/python.md says is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from omni import Call, Omni
from omni.sdk.agent import Agent
from omni.sdk.catalog import PARAMETERS, SHAPES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE + (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_table_of_events_is_complete_and_its_handlers_are_true() -> None:
    told: dict[str, tuple[str, ...]] = {}
    table = PAGE[PAGE.index("| event | handler |") :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        names, handler, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        for name in re.findall(r"`([^`]+)`", names):
            told[name] = tuple(handler.strip("`()").split(", "))
    assert told.keys() == SHAPES.keys()
    for name, parameters in told.items():
        expected = tuple({"event": "event"}.get(one, one) for one in PARAMETERS[SHAPES[name]])
        spelt = {("turn", "call"): ("event", "call"), ("session",): ("event",)}.get(parameters, parameters)
        assert spelt == expected, name


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_its_programs_are_python(block: str) -> None:
    ast.parse(block)


@pytest.mark.parametrize("name", ["bot_llm_client.py", "bot_llm_server.py"])
def test_the_two_bots_are_the_examples(name: str) -> None:
    program = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert program.partition('"""\n\n')[2] in BLOCKS


def test_every_method_it_names_exists() -> None:
    owners = {"call": Call, "agent": Agent, "desk": Agent, "omni": Omni}
    for owner, name in re.findall(r"`(?:await )?(call|agent|desk|omni)\.([a-z_]+)\(", PAGE):
        assert hasattr(owners[owner], name), f"{owner}.{name}"

"""`omni test`: run specs against agents of a running server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from omni.cli.address import Address, address_for, server_options
from omni.cli.opening import Failure, on_loop
from omni.cli.show import said, table
from omni.cli.testing.judging import JudgeError
from omni.cli.testing.models import RULES, override
from omni.cli.testing.report import FULL, as_json, show_exchange, show_result, show_sum
from omni.cli.testing.run import Exchange, Result, failure, run
from omni.cli.testing.spec import ENDINGS, JudgeChoice, Spec, SpecError, discover, load

UNREAD: Final = "?"
"""The agent of a spec that cannot be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, and the spec in it or what is wrong with it."""

    file: Path
    spec: Spec | None
    problem: str | None = None

    @property
    def description(self) -> str:
        return self.spec.description if self.spec is not None else ""

    @property
    def agent(self) -> str:
        return self.spec.agent if self.spec is not None else UNREAD


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--judge", metavar="MODEL", help=f"Who judges: provider/model as in openai/gpt-4.1-mini, or {RULES}.")
@click.option("--agent", metavar="SLUG", help="Test this agent, whatever the specs say.")
@click.option("--grep", metavar="TEXT", help="Only specs with this text in their description or file name.")
@click.option("--verbose", "-v", is_flag=True, help="Show every conversation while it goes on.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end, and nothing else.")
@click.option("--list", "is_list", is_flag=True, help="Show which specs there are; run none.")
@server_options
@on_loop
async def test(
    path: Path,
    judge: str | None,
    agent: str | None,
    grep: str | None,
    verbose: bool,
    is_json: bool,
    is_list: bool,
    server: str | None,
    api_key: str | None,
) -> None:
    """Test agents: PATH is a .spec.yaml file, or a folder of them.

    Exit status: 0 all passed, 1 one failed, 2 something has to be mended first.
    """
    found = [_overridden(one, agent) for one in _find(path, grep)]
    if is_list:
        _list(found, is_json=is_json)
        return
    if judge is not None and judge != RULES:
        try:
            override(judge, JudgeChoice())
        except JudgeError as error:
            raise Failure(str(error)) from None
    address = address_for(server, api_key)
    results = [await _run(one, address, judge, verbose=verbose, is_json=is_json) for one in found]
    if is_json:
        click.echo(json.dumps(as_json(results), indent=1))
    elif len(results) > 1:
        show_sum(results)
    if not all(result.has_passed for result in results):
        raise SystemExit(1)


def _find(path: Path, grep: str | None) -> list[Found]:
    if not path.exists():
        raise Failure(f"there is no {path}; name a file such as greeting.spec.yaml, or a folder of them")
    files = discover(path)
    if not files:
        raise Failure(f"there is no spec in {path}; their names end with {' or '.join(ENDINGS)}")
    found = [_read(file) for file in files]
    wanted = [one for one in found if grep is None or _matches(one, grep)]
    if not wanted:
        raise Failure(f"none of the {len(found)} specs in {path} has {grep!r} in its description or file name")
    return wanted


def _read(file: Path) -> Found:
    try:
        spec, remarks = load(file)
    except SpecError as error:
        return Found(file, None, f"the spec is wrong: {error}")
    for remark in remarks:
        click.echo(f"{file}: {said(remark)}", err=True)
    return Found(file, spec)


def _matches(found: Found, text: str) -> bool:
    return any(text.lower() in name.lower() for name in (found.description, found.file.name))


def _overridden(found: Found, agent: str | None) -> Found:
    if agent is None or found.spec is None:
        return found
    return Found(found.file, found.spec.model_copy(update={"agent": agent}))


def _list(found: list[Found], *, is_json: bool) -> None:
    if is_json:
        rows = [
            {"file": str(o.file), "agent": o.agent, "description": o.description, "error": o.problem} for o in found
        ]
        click.echo(json.dumps(rows, indent=1))
    else:
        table(
            ("FILE", "AGENT", "DESCRIPTION"),
            [(str(one.file), said(one.agent, 40), said(one.problem or one.description, 100)) for one in found],
        )


async def _run(found: Found, address: Address, judge: str | None, *, verbose: bool, is_json: bool) -> Result:
    def tell(exchange: Exchange) -> None:
        if verbose and not is_json:
            show_exchange(exchange, limit=FULL)

    if found.spec is None:
        result = failure(found.file, UNREAD, "", found.problem or "")
    else:
        result = await run(found.file, found.spec, address, judge=judge, tell=tell)
    if not is_json:
        show_result(result, conversation=not verbose)
    return result

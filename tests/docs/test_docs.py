"""What the documentation says is so: settings, metrics, commands, YAML, links."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import click
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from omni.cli import VERBS, main
from omni.cli.testing.models import PROVIDERS
from omni.cli.testing.spec import Spec, Turn, parse
from omni.model.agent import Agent, ScriptRule
from omni.model.behaviour import LlmSettings
from omni.model.channel import PhoneChannel, SmsChannel, WhatsAppChannel
from omni.model.sip import SipTrunk
from omni.settings import Settings
from omni.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CHANNEL = {"kind": "whatsapp", "phone_number_id": "1", "access_token": "a", "app_secret": "b", "verify_token": "c"}


def _rows(page: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins with `first`, by their first cell's code."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1:]
    return rows


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_table_of_settings_is_complete_and_its_defaults_are_true() -> None:
    rows = _rows("docs/settings.md", "variable")
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else f"OMNI_{name.upper()}"
        default = rows.pop(variable)[0].strip("`")
        assert default == (str(field.default) if field.default not in (None, "", ()) else default)
        assert (default in ("–", "none")) == (field.default in (None, "", ())), variable
    assert not rows


def test_the_table_of_metrics_is_generated_from_them() -> None:
    rows = _rows("docs/operate.md", "metric")
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            described = metric.describe()[0]
            name = described.name + ("_total" if isinstance(metric, Counter) else "")
            labels = ", ".join(metric._labelnames) or "–"
            assert rows.pop(name) == [described.type, labels, described.documentation]
    assert not rows


def test_the_table_of_an_agents_fields_is_true() -> None:
    for name, (default, *_) in _rows("docs/write-a-bot.md", "field | default").items():
        field = Agent.model_fields[name]
        if field.default is None:
            assert default == "none"
        elif isinstance(field.default, bool):
            assert default == str(field.default).lower()
        elif isinstance(field.default, int | float):
            assert float(default) == field.default
    for cell in _rows("docs/write-a-bot.md", "field"):
        for name in re.findall(r"[a-z_]+", cell.split(":")[0].replace("`", " ")):
            assert name in ScriptRule.model_fields
    for name in ("max_tokens", "first_token_timeout", "timeout", "retries", "tool_rounds", "extra"):
        assert name in LlmSettings.model_fields


@pytest.mark.parametrize(
    ("page", "channel"),
    [
        ("docs/connect-whatsapp.md", WhatsAppChannel),
        ("docs/sms.md", SmsChannel),
        ("docs/phone.md", PhoneChannel),
    ],
)
def test_the_table_of_a_channels_fields_is_true(
    page: str, channel: type[WhatsAppChannel | SmsChannel | PhoneChannel]
) -> None:
    for cell, (default, *_) in _rows(page, "field").items():
        names = [name.strip(" `") for name in cell.split(",")]
        defaults = [one.strip(" `") for one in default.split(",")] * (len(names) if "," not in default else 1)
        for name, said in zip(names, defaults, strict=True):
            field = channel.model_fields[name]
            is_ = field.default
            shown = "none" if is_ is None else str(is_).lower() if isinstance(is_, bool) else str(is_)
            assert said == shown, name


def test_the_table_of_a_trunks_fields_is_true() -> None:
    said: dict[str, str] = {}
    for cell, (default, *_) in _rows("docs/sip.md", "field").items():
        names = [name.strip(" `") for name in cell.split(",")]
        defaults = [one.strip(" `") for one in default.split(",")] * (len(names) if "," not in default else 1)
        said |= dict(zip(names, defaults, strict=True))
    for name, field in SipTrunk.model_fields.items():
        if name == "is_public":  # not for people to write
            continue
        default = said.pop(field.alias or name)
        if field.default in (None, ()):
            assert default in ("none", "the host", "the server's"), name
        elif not field.is_required():
            assert default == (str(field.default).lower() if isinstance(field.default, bool) else str(field.default)), (
                name
            )
    assert not said


def test_the_tables_of_a_specs_fields_and_of_judges_are_true() -> None:
    fields = _rows("docs/test-your-agent.md", "field of a spec | default")
    assert fields.keys() == Spec.model_fields.keys()
    assert fields["timeout"][0].strip("`") == f"{Spec.model_fields['timeout'].default * 1000:.0f}"
    assert _rows("docs/test-your-agent.md", "field of a turn").keys() == Turn.model_fields.keys()
    providers = _rows("docs/test-your-agent.md", "provider")
    assert providers.keys() == PROVIDERS.keys()
    for name, (variable, model) in providers.items():
        assert f"`{PROVIDERS[name].key}`" in variable
        assert f"`{PROVIDERS[name].model}`" in model


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found = {words: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= _commands(inner, (*words, name))
    return found


def test_every_command_and_option_that_is_named_exists() -> None:
    known = _commands(main)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?m)(?:^|[`/ ])omni ([a-z]+[^`\n#|]*)", text):
            words = tuple(line.replace("[", " ").replace("]", " ").split())
            if words[0] not in VERBS:
                continue
            path = next(words[:n] for n in range(len(words), 0, -1) if words[:n] in known)
            options = {option for parameter in known[path].params for option in parameter.opts}
            for word in takewhile(lambda word: word != "--", words[len(path) :]):
                if word.startswith("--"):
                    assert word.rstrip(",.)") in {*options, "--help"}, f"{page.name}: omni {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_is_what_the_server_reads(page: Path) -> None:
    for block in _blocks(page, "yaml"):
        content = yaml.safe_load(block)
        if isinstance(content, dict) and "agents" in content:
            for agent in content["agents"]:
                Agent.model_validate(agent)
            assert content.keys() <= Settings.model_fields.keys()
        elif isinstance(content, dict) and "inventory" in content:
            for number in content["inventory"]:
                (PhoneChannel if number["kind"] == "phone" else SmsChannel).model_validate(
                    {**number, "account_sid": "AC" + "5" * 32}
                )
            assert content.keys() <= Settings.model_fields.keys()
        elif isinstance(content, dict) and "agent" in content:
            assert parse(block)[1] == []  # a test for an agent
        elif isinstance(content, dict) and "tools" in content:
            Agent.model_validate({"slug": "x", **content})
        elif isinstance(content, list) and "when" in content[0]:
            tools = [{"name": rule["tool"]} for rule in content if "tool" in rule]
            Agent.model_validate({"slug": "x", "script": content, "tools": tools})
        else:
            for agent in content:
                Agent.model_validate(agent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        aimed = (page.parent / file).resolve() if file else page
        assert aimed.exists(), target
        if anchor:
            heads = re.findall(r"(?m)^#+ (.+)$", aimed.read_text(encoding="utf-8"))
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, target

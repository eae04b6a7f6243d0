"""What `infra/` holds, as the tests look at it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from omni.app.server import DRAIN_CALLS_SECONDS, DRAIN_SECONDS
from omni.cli.serve import EXIT_WITHIN
from omni.secretfiles import SECRETS_DIR
from omni.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
CONFIG = "OMNI_CONFIG"


def read(name: str) -> str:
    return (INFRA / name).read_text(encoding="utf-8")


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(read(name)) if document]


def variables() -> set[str]:
    """Every variable that the server reads."""
    named = {
        field.validation_alias if isinstance(field.validation_alias, str) else f"OMNI_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }
    return named | {SECRETS_DIR, CONFIG}


def strange_variables(named: object) -> list[str]:
    """Those of ours that no setting has."""
    known = variables()
    return [name for name in re.findall(r"\b(?:OMNI_[A-Z_]+|[A-Z]+_API_KEY)\b", str(named)) if name not in known]


def seconds_to_stop(role: str, drain_calls: float | None = None) -> float:
    """How long a process of the role may take from SIGTERM to its end."""
    usual = {"voice": DRAIN_CALLS_SECONDS, "all": DRAIN_SECONDS}.get(role, 0.0)
    calls = usual if drain_calls is None or role not in ("voice", "all") else drain_calls
    return calls + EXIT_WITHIN


def program(name: str) -> ModuleType:
    """A program of `infra/` without .py at its end, as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(INFRA / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def every_file() -> Iterator[Path]:
    return (path for path in sorted(INFRA.rglob("*")) if path.is_file() and "secrets" not in path.parts)

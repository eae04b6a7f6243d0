"""The arrows of the architecture: who may import whom. A channel and a session meet on the bus, never in an import.

Imports are read from the source, so those inside functions and under `if TYPE_CHECKING` count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("omni", "channels", "sessions", "workers")

# Who (the longest matching prefix counts) -> what of ours it may import, besides its own package.
# "{name}" stands for one folder: a channel may import its own package, not its neighbour's.
SEAMS = ("omni.bus", "omni.store", "omni.blobs")
TELEMETRY = ("omni.telemetry",)  # logs and metrics: everybody's, so it may lean on nothing but the vocabulary
LIVE = ("omni.live",)  # calls as they grow, told over the bus: whoever shows a call reads it there
ACCESS = ("omni.access",)  # keys, tokens, origins, rate limits
SIGNING = ("omni.access.webhooks",)  # pure: how a request to a developer's server is signed
OUTGOING = ("omni.outgoing",)  # requests to addresses that other people gave us
AUDIO = ("omni.audio",)  # sound as numbers: pure
COMMON = (
    "channels.base",
    "channels.audio",
    "channels.twilio",
    "channels.splitting",
    "channels.per_minute",
    "channels.hosted",
    "channels.rtc",
    *AUDIO,
)
DRIVERS = ("omni.sqlite", "omni.mongodb")  # what several engines of one database share
ALLOWED: dict[str, tuple[str, ...]] = {
    "omni": ("omni.sdk", "omni.model"),  # the package itself: what a bot author imports
    "omni.model": (),
    "omni.audio": (),
    "omni.telemetry": ("omni.model",),
    "omni.secretfiles": (),
    "omni.settings": (
        "omni.model",
        "omni.secretfiles",
    ),  # read by the composition root, which hands the parts their values
    "omni.sqlite": TELEMETRY,
    "omni.mongodb": TELEMETRY,
    "omni.bus": ("omni.model", *DRIVERS, *TELEMETRY),
    "omni.store": ("omni.model", *DRIVERS, *TELEMETRY),
    "omni.blobs": ("omni.model", *DRIVERS, *TELEMETRY),
    "omni.live": ("omni.model", "omni.bus", "omni.store", *TELEMETRY),
    "omni.access": ("omni.model", "omni.store", *TELEMETRY),
    "omni.outgoing": ("omni.model", *TELEMETRY),
    "omni.sdk": ("omni.model",),
    "omni.gateway": ("omni.model", "sessions", *AUDIO, *LIVE, *ACCESS, *OUTGOING, *SEAMS, *TELEMETRY),
    "omni.backup": ("omni.model", "sessions", *DRIVERS, *SEAMS, *TELEMETRY),
    "omni.cli": OURS,
    "omni.app": OURS,
    "omni.__main__": ("omni.cli",),
    "channels": (),
    "channels.base": ("omni.model", *SEAMS, *TELEMETRY),
    "channels.audio": ("omni.model",),
    "channels.rtc": ("channels.audio", *AUDIO),  # WebRTC, whoever signals the call: browsers, WhatsApp
    "channels.twilio": ("channels.per_minute", "omni.model", *TELEMETRY),
    "channels.twilio.simulator": AUDIO,  # it stands for somebody else's cloud: it must not know ours
    "channels.splitting": (),  # what channels have in common beside the protocol
    "channels.per_minute": (),
    "channels.hosted": ("omni.model", *ACCESS),
    "channels.{name}": (*COMMON, "omni.model", *LIVE, *ACCESS, *OUTGOING, *SEAMS, *TELEMETRY),
    "channels.whatsapp.simulator": (),  # it stands for somebody else's cloud: it must not know ours
    "sessions": ("omni.model", "omni.bus", "omni.store", *LIVE, *SIGNING, *OUTGOING, *TELEMETRY),
    "workers": (
        "channels.base",
        "channels.audio",
        "sessions",
        *AUDIO,
        "omni.model",
        *LIVE,
        *SIGNING,
        *OUTGOING,
        *SEAMS,
        *TELEMETRY,
    ),
}


@dataclass(frozen=True, slots=True)
class Arrow:
    """`importer` imports `imported` on a line of a file."""

    importer: str
    imported: str
    file: Path
    line: int


def modules(root: Path) -> dict[str, Path]:
    """Every module of ours under a folder, by its dotted name."""
    found = {}
    for top in OURS:
        for file in sorted((root / top).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def arrows(root: Path) -> list[Arrow]:
    """Every import of one of our modules by another."""
    known = modules(root)
    return [
        Arrow(importer, imported, file.relative_to(root), line)
        for importer, file in known.items()
        for imported, line in _imports(importer, file, known)
        if imported != importer
    ]


def _imports(importer: str, file: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, importer, file)
            # `from omni.store import base` names a module, `from omni.store.base import Store` something inside one.
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        yield from ((name, node.lineno) for name in names if name.split(".")[0] in OURS)


def _absolute(node: ast.ImportFrom, importer: str, file: Path) -> str:
    if not node.level:
        return node.module or ""
    package = importer.split(".") if file.name == "__init__.py" else importer.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _place(module: str) -> str | None:
    """The row of ALLOWED that speaks about a module; None when no row does."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in ALLOWED and (length > 1 or prefix not in {"omni", "channels"} or module == prefix):
            return prefix
        if parts[0] == "channels" and length == 2:
            return prefix
    return None


def _may(importer: str, imported: str) -> bool:
    place = _place(importer)
    if place is None:
        return False
    allowed = ALLOWED.get(place, ALLOWED["channels.{name}"])
    return _place(imported) == place or any(_is_in(imported, package) for package in allowed)


def broken(root: Path) -> list[str]:
    """A sentence for every import that the architecture does not allow."""
    homeless = {module for module in modules(root) if _place(module) is None}
    sentences = [
        f"{module}: has no place in the picture; put it into a package that has, or give it a row in ALLOWED"
        for module in sorted(homeless)
    ]
    for arrow in arrows(root):
        if arrow.importer not in homeless and not _may(arrow.importer, arrow.imported):
            place = _place(arrow.importer) or ""
            allowed = ", ".join(ALLOWED.get(place, ALLOWED["channels.{name}"])) or "nothing of ours"
            sentences.append(
                f"{arrow.file}:{arrow.line}: {arrow.importer} imports {arrow.imported}; "
                f"{place} may import its own package and {allowed}"
            )
    return sentences


def circles(root: Path) -> list[str]:
    """Every module that imports itself through others, each circle once."""
    graph: dict[str, list[str]] = {module: [] for module in modules(root)}
    for arrow in arrows(root):
        if arrow.imported in graph:
            graph[arrow.importer].append(arrow.imported)
    found: dict[frozenset[str], str] = {}
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            circle = path[path.index(module) :]
            found.setdefault(frozenset(circle), " -> ".join([*circle, module]))
        elif module not in done:
            for imported in graph[module]:
                walk(imported, [*path, module])
            done.add(module)

    for module in graph:
        walk(module, [])
    return list(found.values())


def test_imports_follow_the_arrows() -> None:
    wrong = broken(ROOT)
    assert not wrong, "imports against the architecture:\n  " + "\n  ".join(wrong)


def test_no_import_goes_in_a_circle() -> None:
    wrong = circles(ROOT)
    assert not wrong, "modules that import each other:\n  " + "\n  ".join(wrong)


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("omni/model/call.py", "import omni.store.base", "omni.store.base"),
        ("omni/model/call.py", "from omni.telemetry import metrics", "omni.telemetry"),
        ("omni/bus/base.py", "from omni.store.base import Store", "omni.store.base"),
        ("channels/chat/adapter.py", "def late():\n    from sessions.fold import fold", "sessions.fold"),
        ("channels/chat/adapter.py", "from channels.whatsapp.webhook import x", "channels.whatsapp.webhook"),
        ("channels/whatsapp/webhook.py", "from .simulator import graph", "channels.whatsapp.simulator"),
        ("channels/whatsapp/simulator/graph.py", "from channels.whatsapp import errors", "channels.whatsapp"),
        ("channels/whatsapp/simulator/graph.py", "import omni.model.call", "omni.model.call"),
        ("sessions/actor.py", "if TYPE_CHECKING:\n    from channels.base import Channel", "channels.base"),
        ("sessions/actor.py", "from omni import sqlite", "omni"),
        ("workers/delivery.py", "from channels.whatsapp.webhook import x", "channels.whatsapp.webhook"),
        ("omni/sdk/call.py", "from omni.gateway import client", "omni.gateway"),
        ("omni/gateway/client.py", "import workers.delivery", "workers.delivery"),
    ],
)
def test_a_forbidden_import_is_named(tmp_path: Path, file: str, text: str, named: str) -> None:
    wrong = broken(_tree(tmp_path, {file: text}))
    assert len(wrong) == 1, wrong
    assert wrong[0].startswith(f"{file}:")
    assert named in wrong[0]


def test_a_module_without_a_place_is_named(tmp_path: Path) -> None:
    wrong = broken(_tree(tmp_path, {"omni/helpers.py": ""}))
    assert wrong == [
        "omni.helpers: has no place in the picture; put it into a package that has, or give it a row in ALLOWED"
    ]


def test_allowed_imports_pass(tmp_path: Path) -> None:
    files = {
        "omni/__init__.py": "from omni.sdk import Agent",
        "omni/model/call.py": "from omni.model.ids import new_id\nfrom .agent import Agent\nimport json",
        "omni/bus/sqlite.py": "from omni.sqlite import Writer\nfrom omni.bus.base import Bus\nimport omni.telemetry",
        "channels/chat/adapter.py": "from channels.base import Channel\nfrom channels.chat.page import html",
        "channels/whatsapp/simulator/graph.py": "from channels.whatsapp.simulator.errors import GraphError",
        "workers/session.py": "from sessions.actor import Actor\nfrom channels.base import Channel",
        "omni/app.py": "import workers.session, channels.whatsapp.webhook, omni.store.sqlite",
    }
    assert broken(_tree(tmp_path, files)) == []


def test_a_circle_is_named(tmp_path: Path) -> None:
    files = {
        "sessions/actor.py": "from sessions.fold import fold",
        "sessions/fold.py": "from sessions import state",
        "sessions/state.py": "def late():\n    import sessions.actor",
        "sessions/alone.py": "import sessions.actor",
    }
    assert circles(_tree(tmp_path, files)) == ["sessions.actor -> sessions.fold -> sessions.state -> sessions.actor"]

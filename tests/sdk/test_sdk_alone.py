"""The SDK on a machine that has no server: what it imports, and what the command says there."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_THE_SERVER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["omni", "serve"]
"""


def _server_modules() -> set[str]:
    """The modules of what only the extra `server` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {line.split(">")[0].replace("-", "_") for line in project["optional-dependencies"]["server"]}
    return {{"pyyaml": "yaml"}.get(name, name) for name in wanted}


def _run(program: str) -> subprocess.CompletedProcess[str]:
    head = WITHOUT_THE_SERVER.format(names=sorted(_server_modules()))
    return subprocess.run([sys.executable, "-c", head + program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_bot_needs_nothing_of_the_server() -> None:
    done = _run(
        "import importlib, pkgutil, omni, omni.sdk\n"
        "for module in pkgutil.iter_modules(omni.sdk.__path__): importlib.import_module('omni.sdk.' + module.name)\n"
        "from omni import *\n"
        "print(Omni('http://x', 'k').agent('desk', tools=[tool(lambda: None)]) if False else sorted(omni.__all__))"
    )
    assert done.returncode == 0, done.stderr
    assert "'Omni'" in done.stdout


def test_the_command_says_what_to_install() -> None:
    done = _run("from omni.__main__ import main; main()")
    assert done.returncode == 1
    assert done.stderr == (
        "omni: the module 'click' is not installed: this is the SDK alone; the command needs the server: "
        'pip install "omni-server[server]"\n'
    )


def test_the_package_itself_brings_nothing_with_it() -> None:
    """The server imports `omni`, too: the SDK comes when one of its names is asked for."""
    done = _run("import omni\nprint([name for name in sys.modules if name.startswith('omni')])")
    assert done.stdout == "['omni']\n"
    lazily = _run("from omni import Omni, tool\nprint('aiohttp' in sys.modules)")
    assert lazily.stdout == "False\n", lazily.stderr


def test_what_the_package_does_not_have_is_an_attribute_error() -> None:
    import omni

    with pytest.raises(AttributeError, match="module 'omni' has no attribute 'nothing'"):
        _ = omni.nothing  # type: ignore[attr-defined]
    assert all(getattr(omni, name) for name in omni.__all__)


def test_a_store_in_mongodb_says_what_to_install() -> None:
    done = _run("from omni import MongoHistory; MongoHistory('mongodb://x')")
    assert 'MongoHistory needs pymongo: pip install "pymongo>=4.13"' in done.stderr

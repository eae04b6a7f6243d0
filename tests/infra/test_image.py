"""The image: small, nobody's root, healthy when the server is ready, and stopped by the signal that drains."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from omni.gateway.health import Health
from tests.infra.parts import ROOT, read, strange_variables

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
STAGES = re.split(r"(?m)^(?=FROM )", re.sub(r"\\\n\s*", " ", read("Dockerfile")))[1:]
LAST = STAGES[-1]


def _words(instruction: str, stage: str = LAST) -> list[str]:
    return re.findall(rf"(?m)^\s*{instruction} (.+)$", stage)


def test_its_python_is_one_that_omni_runs_on() -> None:
    (version,) = re.findall(r"(?m)^ARG PYTHON=3\.(\d+)$", read("Dockerfile"))
    (oldest,) = re.findall(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert int(version) >= int(oldest)
    assert [_words("FROM", stage)[0].split()[0] for stage in STAGES] == ["python:${PYTHON}-slim"] * len(STAGES)


def test_everything_that_the_wheel_needs_is_in_the_context_and_copied() -> None:
    copied = {source for line in _words("COPY", STAGES[0]) for source in line.split()[:-1]}
    project = PROJECT["project"]
    assert {*PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], "pyproject.toml"} <= copied
    assert project["readme"] in copied
    context = (ROOT / ".dockerignore").read_text().splitlines()
    assert context[1] == "*"
    assert {line[1:] for line in context if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_the_extras_that_are_named_exist() -> None:
    named = re.findall(r"EXTRAS=([a-z,-]+)", read("Dockerfile") + read("compose.yaml"))
    named += re.findall(r'EXTRAS: "?([a-z,-]+)', read("compose.yaml"))
    assert len(named) >= 3
    for extras in named:
        assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()
    assert _words("ARG", STAGES[0]) == ["EXTRAS=server,oidc,otel"]


def test_nothing_is_built_and_nobody_is_root_in_the_last_stage() -> None:
    assert not re.search(r"\b(apt-get|apk|gcc|build-essential|pip install)\b", LAST)
    (user,) = _words("USER")
    uid = int(user.split(":")[0])
    assert uid >= 10_000
    assert f"--uid {uid}" in LAST


def test_signals_reach_the_server_and_what_it_keeps_is_in_the_volume() -> None:
    assert json.loads(_words("ENTRYPOINT")[0]) == ["omni"]  # no shell in between
    assert json.loads(_words("CMD")[-1]) == ["serve"]
    assert "STOPSIGNAL" not in LAST
    assert _words("WORKDIR") == _words("VOLUME") == ["/var/lib/omni"]
    assert "--home-dir /var/lib/omni" in LAST  # where speech keeps what it made ready


def test_every_variable_is_a_setting() -> None:
    assert strange_variables(read("Dockerfile")) == []
    (port,) = re.findall(r"OMNI_PORT=(\d+)", LAST)
    assert _words("EXPOSE") == [port]


def test_hadolint_has_nothing_to_say() -> None:
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not here")
    run = subprocess.run([hadolint, str(ROOT / "infra" / "Dockerfile")], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize(("status", "ends"), [(200, 0), (503, 1)])
async def test_it_is_healthy_when_the_server_is_ready(status: int, ends: int) -> None:
    (check,) = re.findall(r"HEALTHCHECK .*CMD (\[.*\])", LAST)
    command = json.loads(check)
    (path,) = re.findall(r"/[a-z]+(?=')", command[2])
    assert path in {route.path for route in Health(None, None, None, []).routes()}  # type: ignore[arg-type]
    app = web.Application()

    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app.router.add_get(path, ready)
    async with TestServer(app) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command[1:],
            env={**os.environ, "OMNI_PORT": str(server.port)},
            stderr=subprocess.DEVNULL,
        )
        assert await process.wait() == ends

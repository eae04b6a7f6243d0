"""The compose files: what the specification takes, what omni has settings for, and time enough to drain."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from omni import settings as settings_of
from tests.infra.parts import INFRA, documents, program, seconds_to_stop, strange_variables

FILES = ["compose.yaml", "compose.single.yaml", "compose.sip.yaml"]
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text())
WHOLE = ["compose.yaml", "compose.single.yaml"]


def _file(name: str) -> dict[str, Any]:
    (document,) = documents(name)
    return document


def _ours(name: str) -> dict[str, dict[str, Any]]:
    """omni's own services, by name."""
    return {key: one for key, one in _file(name)["services"].items() if "omni" in str(one.get("image", ""))}


def _role(service: dict[str, Any]) -> str:
    command = service["command"]
    return str(command[command.index("--role") + 1]) if "--role" in command else "all"


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("name", FILES)
def test_it_is_what_the_specification_takes(name: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(_file(name))
    broken = {**_file(name), "services": {"x": {"imagge": "y"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(broken)


@pytest.mark.parametrize("names", [["compose.yaml"], ["compose.yaml", "compose.sip.yaml"], ["compose.single.yaml"]])
def test_docker_reads_it(names: list[str], tmp_path: Path) -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker with the plugin compose is not here; the schema is checked all the same")
    files = [word for name in names for word in ("-f", str(INFRA / name))]
    run = subprocess.run(
        ["docker", "compose", *files, "config", "--quiet"],
        env={
            "PATH": "/usr/bin:/usr/local/bin:/bin",
            "OMNI_DOMAIN": "x.example",
            "PUBLIC_IP": "203.0.113.7",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_every_role_is_a_service() -> None:
    assert {_role(one) for one in _ours("compose.yaml").values()} == {"gateway", "session", "delivery", "voice"}
    assert [_role(one) for one in _ours("compose.single.yaml").values()] == ["all"]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name: str) -> None:
    ours = {key: one.get("environment", {}) for key, one in _file(name)["services"].items()}
    named = {key for variables in ours.values() for key in variables if key.startswith("OMNI_")} - {"OMNI_DOMAIN"}
    assert named
    assert strange_variables(named) == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_stop_waits_for_the_drain(name: str) -> None:
    for service in _ours(name).values():
        given = service["environment"].get("OMNI_DRAIN_CALLS")
        needed = seconds_to_stop(_role(service), float(given) if given else None)
        assert _seconds(service["stop_grace_period"]) > needed, _role(service)


@pytest.mark.parametrize("name", WHOLE)
def test_it_runs_with_nothing_that_it_does_not_need(name: str) -> None:
    for service in _ours(name).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert "/tmp" in service["tmpfs"]
        assert service["restart"] == "always"
        assert "user" not in service  # the image's


@pytest.mark.parametrize("name", FILES)
def test_what_it_mounts_is_there(name: str) -> None:
    whole = _file(name)
    for service in whole["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (INFRA / source).exists() if source.startswith(".") else source in whole["volumes"], mount
        build = service.get("build", {})
        if build:
            assert (INFRA / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", WHOLE)
def test_secrets_are_files_that_the_program_makes(name: str, tmp_path: Path) -> None:
    whole = _file(name)
    program("make-secrets").main(tmp_path / "secrets")
    made = {f"./secrets/{file.name}" for file in (tmp_path / "secrets").iterdir()}
    assert {one["file"] for one in whole["secrets"].values()} <= made
    used = {secret for service in whole["services"].values() for secret in service.get("secrets", [])}
    assert used == whole["secrets"].keys()
    for service in whole["services"].values():
        for value in service.get("environment", {}).values():
            for secret in re.findall(r"/run/secrets/(\w+)", str(value)):
                assert secret in service["secrets"]


@pytest.mark.parametrize("name", WHOLE)
def test_the_server_starts_with_these_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("make-secrets").main(tmp_path / "made")
    services = _file(name)["services"]
    for service in _ours(name).values():
        folder = tmp_path / f"{_role(service)}-secrets"
        folder.mkdir()
        for secret in service["secrets"]:
            (folder / secret).write_text((tmp_path / "made" / secret).read_text())
        with monkeypatch.context() as patch:
            for key, value in service["environment"].items():
                patch.setenv(key, re.sub(r"\$\{OMNI_DOMAIN[^}]*\}", "bot.example.com", value))
            assert service["environment"]["OMNI_SECRETS_DIR"] == "/run/secrets"
            patch.setenv("OMNI_SECRETS_DIR", str(folder))
            mounted = [
                mount for mount in service["volumes"] if mount.split(":")[1] == service["environment"]["OMNI_CONFIG"]
            ]
            settings = settings_of.load(INFRA / mounted[0].split(":")[0])
        assert settings.agents
        assert settings.secret is not None
        assert settings.api_key is not None
        if _role(service) == "all":
            assert settings.is_embedded
            kept = Path(settings.sqlite_path or "").parent
            assert any(mount.split(":")[1] == str(kept) for mount in service["volumes"])
        else:
            assert urlsplit(settings.store_url).hostname in services
            assert urlsplit(settings.bus_url).hostname in services


def test_the_voice_worker_has_an_address_that_the_proxy_leads_to() -> None:
    voice = _ours("compose.yaml")["voice"]["environment"]["OMNI_VOICE_URL"]
    host = urlsplit(voice.replace("${OMNI_DOMAIN}", "{$OMNI_DOMAIN}")).netloc
    caddy = (INFRA / "caddy" / "Caddyfile").read_text()
    assert re.search(rf"(?m)^{re.escape(host)} \{{$", caddy)
    for upstream in re.findall(r"(?:reverse_proxy |dynamic a )([a-z]+)[ :]8080", caddy):
        assert upstream in _ours("compose.yaml")


def test_ports_of_sound_are_published_as_they_are() -> None:
    voice = _file("compose.sip.yaml")["services"]["voice"]
    rtp = voice["environment"]["OMNI_SIP_RTP_PORTS"]
    port = voice["environment"]["OMNI_SIP_BIND"].rpartition(":")[2]
    assert voice["ports"] == [f"{port}:{port}/udp", f"{port}:{port}/tcp", f"{rtp}:{rtp}/udp"]
    first, last = map(int, rtp.split("-"))
    most = int(_ours("compose.yaml")["voice"]["environment"]["OMNI_MAX_CALLS"])
    assert last - first + 1 >= 2 * most

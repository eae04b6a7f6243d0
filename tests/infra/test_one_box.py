"""The unit for systemd, and the proxies in front."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from omni.cli.serve import serve
from omni.settings import Settings
from tests.infra.parts import INFRA, read, seconds_to_stop, strange_variables

UNIT = [
    (name, value)
    for line in read("systemd/omni.service").splitlines()
    if not line.startswith("#") and "=" in line
    for name, _, value in [line.partition("=")]
]


def _given(name: str) -> list[str]:
    return [value for key, value in UNIT if key == name]


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    file = tmp_path / "omni.service"
    there = read("systemd/omni.service").replace("/opt/omni/bin/omni", "/bin/true")
    file.write_text(there)
    run = subprocess.run([analyze, "verify", "--man=no", str(file)], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    file.write_text(there.replace("ProtectHome=yes", "ProtectHome=perhaps"))
    run = subprocess.run([analyze, "verify", "--man=no", str(file)], capture_output=True, text=True)
    assert "perhaps" in run.stderr


def test_a_stop_waits_for_the_drain() -> None:
    (given,) = _given("TimeoutStopSec")
    assert int(given) > seconds_to_stop("all")
    assert _given("KillMode") == ["mixed"]


def test_its_command_exists_and_its_variables_are_settings() -> None:
    (command,) = _given("ExecStart")
    _, verb, option, _ = command.split()
    assert verb == serve.name
    assert option in {name for parameter in serve.params for name in parameter.opts}
    assert strange_variables(_given("Environment")) == []
    credentials = [one.partition(":") for one in _given("LoadCredential")]
    assert all(path.endswith(f"/{name}") for name, _, path in credentials)
    assert {name.removeprefix("omni_") for name, _, _ in credentials} <= Settings.model_fields.keys()
    assert "OMNI_SECRETS_DIR=%d" in _given("Environment")


def test_it_has_no_more_rights_than_it_needs() -> None:
    assert _given("User") == ["omni"]
    assert _given("CapabilityBoundingSet") == [""]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert _given(name) == ["yes"]
    assert _given("ProtectSystem") == ["strict"]
    assert _given("StateDirectory") == ["omni"]
    assert _given("WorkingDirectory") == ["/var/lib/omni"]


@pytest.mark.parametrize("name", ["caddy/Caddyfile", "nginx/omni.conf"])
def test_a_proxy_leads_to_the_port_of_the_server_and_hides_its_metrics(name: str) -> None:
    text = read(name)
    code = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))
    assert str(Settings.model_fields["port"].default) in code
    assert re.search(r"respond /metrics 404|location = /metrics \{\s*return 404;", code)
    assert "OMNI_PROXIES=1" in text  # which says that one proxy adds to X-Forwarded-For
    assert strange_variables(text.replace("OMNI_DOMAIN", "")) == []
    assert code.count("{") == code.count("}")


def test_nginx_upgrades_sockets_and_says_who_asked() -> None:
    conf = read("nginx/omni.conf")
    headers = dict(re.findall(r"proxy_set_header (\S+)\s+(\S+);", conf))
    assert headers["Upgrade"] == "$http_upgrade"
    assert headers["Connection"] == "$connection_upgrade"
    assert "map $http_upgrade $connection_upgrade" in conf
    assert {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Host"} <= headers.keys()
    assert "proxy_http_version 1.1;" in conf
    assert "proxy_buffering off;" in conf


def test_every_file_is_text_and_has_no_secret_in_it() -> None:
    for file in INFRA.rglob("*"):
        if file.is_file() and "secrets" not in file.parts and "__pycache__" not in file.parts:
            text = file.read_text(encoding="utf-8")
            assert not re.search(
                r"pk_[0-9a-f]{8}|sk-[A-Za-z0-9]{8}|://[^\s{}/]+:[^\s{}/$]+@(?!mongo:|rabbitmq:)", text
            ), file

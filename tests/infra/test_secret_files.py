"""Secrets that Docker, Kubernetes and systemd hand over as files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from omni import settings as settings_of
from omni.settings import SettingsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OMNI_API_KEY", "OMNI_SECRET", "OPENAI_API_KEY", "OMNI_STORE_URL", "OMNI_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "secrets"
    made.mkdir()
    monkeypatch.setenv("OMNI_SECRETS_DIR", str(made))
    return made


def test_a_file_is_the_variable_of_its_name(folder: Path) -> None:
    (folder / "omni_api_key").write_text("pk_from_a_file\n")
    (folder / "OMNI_STORE_URL").write_text("mongodb://user:pass@mongo/omni")
    (folder / "openai_api_key").write_text("  sk-1\n")
    (folder / "omni_sip_bind").write_text("127.0.0.1:5060")
    (folder / "omni_sip_trunks").write_text(
        '[{"name": "office", "host": "10.0.0.2", "username": "u", "password": "s"}]'
    )
    loaded = settings_of.load()
    assert loaded.api_key is not None
    assert loaded.api_key.get_secret_value() == "pk_from_a_file"
    assert loaded.store_url == "mongodb://user:pass@mongo/omni"
    assert loaded.openai_api_key is not None
    assert loaded.openai_api_key.get_secret_value() == "sk-1"
    assert [trunk.name for trunk in loaded.sip_trunks] == ["office"]


def test_a_variable_wins_over_a_file_and_a_file_over_the_yaml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("omni.yaml").write_text("port: 1\npartitions: 1\nhost: 127.0.0.1")
    (folder / "omni_port").write_text("2")
    (folder / "omni_partitions").write_text("2")
    monkeypatch.setenv("OMNI_PARTITIONS", "3")
    loaded = settings_of.load()
    assert (loaded.host, loaded.port, loaded.partitions) == ("127.0.0.1", 2, 3)


def test_what_the_yaml_refers_to_may_be_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = "{kind: whatsapp, phone_number_id: '1', access_token: '${TOKEN}', app_secret: '${S}', verify_token: v}"
    Path("omni.yaml").write_text(f"agents: [{{slug: a, channels: [{channel}]}}]")
    (folder / "token").write_text("EAA\n")
    monkeypatch.setenv("S", "a variable")
    (folder / "s").write_text("a file")
    (channel,) = settings_of.load().agents[0].channels
    assert channel.kind == "whatsapp"
    assert channel.access_token.get_secret_value() == "EAA"
    assert channel.app_secret.get_secret_value() == "a variable"


def test_what_kubernetes_keeps_in_the_folder_is_passed_over(folder: Path) -> None:
    real = folder / "..2026_11_20"
    real.mkdir()
    (real / "omni_port").write_text("7")
    (folder / "..data").symlink_to(real.name)
    (folder / "omni_port").symlink_to("..data/omni_port")
    (folder / "more").mkdir()
    assert settings_of.load().port == 7


def test_a_file_that_is_wrong_ends_the_server_with_its_name_and_not_what_it_holds(folder: Path) -> None:
    file = folder / "omni_secret"
    file.write_text("short")
    with pytest.raises(SettingsError, match="OMNI_SECRET: is too short") as told:
        settings_of.load()
    assert "'short'" not in str(told.value)
    file.write_text(" \n")
    with pytest.raises(SettingsError, match="omni_secret is empty"):
        settings_of.load()
    file.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(SettingsError, match="omni_secret is not text"):
        settings_of.load()
    file.write_text("x" * 100_000)
    with pytest.raises(SettingsError, match="omni_secret is larger"):
        settings_of.load()


def test_a_folder_that_is_not_there_ends_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_SECRETS_DIR", str(folder / "none"))
    with pytest.raises(SettingsError, match=r"OMNI_SECRETS_DIR '.*none': no such file or directory"):
        settings_of.load()

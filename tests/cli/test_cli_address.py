"""Which server a command speaks to, and with which key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from omni.cli.address import Address, address_for, base_url
from omni.cli.credentials import credentials_file, keep_key, kept_key
from omni.cli.opening import Failure


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and no settings of ours but those that a test makes."""
    for name in [name for name in os.environ if name.startswith(("OMNI_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://omni.example.com/", "https://omni.example.com"),
        ("ws://host:1/", "http://host:1"),
        ("WSS://host/prefix/", "https://host/prefix"),
        (" http://[::1]:8080 ", "http://[::1]:8080"),
    ],
)
def test_an_address_is_http_and_has_no_slash_at_its_end(typed: str, url: str) -> None:
    assert base_url(typed) == url


@pytest.mark.parametrize(
    "typed", ["", "localhost:8080", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://h/#a"]
)
def test_what_is_no_address_is_refused_in_a_sentence(typed: str) -> None:
    with pytest.raises(Failure, match="is not a server's address"):
        base_url(typed)


@pytest.mark.parametrize("typed", ["http://me:hunter2@host", "http://host?api_key=hunter2"])
def test_a_key_in_an_address_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(Failure, match="keep the key out") as refused:
        base_url(typed)
    assert "hunter2" not in refused.value.message


def test_the_socket_is_beside_the_rest() -> None:
    assert Address("http://host:8080", "k").client_url == "ws://host:8080/client"
    assert Address("https://host/x", "k").client_url == "wss://host/x/client"
    assert "secret" not in repr(Address("http://host", "secret"))


def test_options_come_first() -> None:
    assert address_for("https://a.example", "pk_1") == Address("https://a.example", "pk_1")


def test_without_options_it_is_the_server_of_this_folder(here: Path) -> None:
    (here / "omni.yaml").write_text("port: 9000\nhost: 0.0.0.0\napi_key: pk_local\n")
    assert address_for(None, None) == Address("http://127.0.0.1:9000", "pk_local")
    assert address_for("http://127.0.0.1:9000", None).key == "pk_local"


def test_the_key_of_this_folder_goes_to_no_other_server(here: Path) -> None:
    (here / "omni.yaml").write_text("api_key: pk_local\n")
    with pytest.raises(Failure, match=r"no API key for https://other\.example"):
        address_for("https://other.example", None)


def test_the_credentials_file_comes_last() -> None:
    path = credentials_file()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"api_key": "pk_any", "servers": {"https://a.example": {"api_key": "pk_a"}}}))
    path.chmod(0o600)
    assert address_for("https://a.example", None).key == "pk_a"
    assert address_for("https://b.example/", None).key == "pk_any"
    assert address_for(None, None) == Address("http://127.0.0.1:8080", "pk_any")


def test_a_credentials_file_that_others_may_read_is_refused() -> None:
    path = credentials_file()
    path.parent.mkdir(parents=True)
    path.write_text('{"api_key": "pk_any"}')
    path.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        address_for(None, None)


@pytest.mark.parametrize("text", ["", "pk_any", "[]", "\xff"])
def test_a_credentials_file_that_holds_something_else_is_refused(text: str) -> None:
    path = credentials_file()
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(Failure, match=r"credentials\.json"):
        address_for(None, None)


def test_a_kept_key_is_private_and_leaves_the_others_alone() -> None:
    path = credentials_file()
    keep_key(path, "http://a", "pk_1")
    keep_key(path, "http://b", "pk_2")
    assert (kept_key(path, "http://a"), kept_key(path, "http://b"), kept_key(path, "http://c")) == (
        "pk_1",
        "pk_2",
        None,
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]

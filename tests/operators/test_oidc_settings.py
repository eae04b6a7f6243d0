"""Settings of the sign-in provider: a wrong one stops the start with a sentence that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omni.settings import SettingsError, load

RIGHT = {"OMNI_OIDC_ISSUER": "https://id.example.com/", "OMNI_OIDC_CLIENT_ID": "inbox"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OMNI_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_domains_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {**RIGHT, "OMNI_OIDC_DOMAINS": " Example.com, @example.org ,"})
    settings = load()
    assert settings.oidc_issuer == "https://id.example.com"
    assert settings.oidc_domains == ("example.com", "example.org")


def test_they_may_stand_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "omni.yaml").write_text(
        "oidc_issuer: https://id.example.com\noidc_client_id: inbox\noidc_domains: [example.com]\noidc_role: viewer\n"
    )
    settings = load()
    assert (settings.oidc_domains, settings.oidc_role) == (("example.com",), "viewer")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OMNI_OIDC_ISSUER": "https://id.example.com"}, "OMNI_OIDC_CLIENT_ID is missing"),
        ({"OMNI_OIDC_CLIENT_ID": "inbox"}, "without OMNI_OIDC_ISSUER"),
        ({"OMNI_OIDC_CLIENT_SECRET": "s3cret"}, "without OMNI_OIDC_ISSUER"),
        ({"OMNI_OIDC_DOMAINS": "example.com"}, "without OMNI_OIDC_ISSUER"),
        ({**RIGHT, "OMNI_OIDC_ISSUER": "http://id.example.com"}, "https://"),
        ({**RIGHT, "OMNI_OIDC_ISSUER": "id.example.com"}, "OMNI_OIDC_ISSUER"),
        ({**RIGHT, "OMNI_OIDC_DOMAINS": "example"}, "OMNI_OIDC_DOMAINS"),
        ({**RIGHT, "OMNI_OIDC_DOMAINS": "*.example.com"}, "looks like example.com"),
        ({**RIGHT, "OMNI_OIDC_ROLE": "boss"}, "OMNI_OIDC_ROLE"),
        ({**RIGHT, "OMNI_OIDC_NAME": "x" * 41}, "OMNI_OIDC_NAME"),
    ],
)
def test_a_wrong_setting_is_a_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    _set(monkeypatch, variables)
    with pytest.raises(SettingsError) as refused:
        load()
    assert named in str(refused.value)
    assert "s3cret" not in str(refused.value)

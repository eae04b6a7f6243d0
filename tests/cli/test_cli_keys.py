"""`omni keys`: what is made is shown once, listed without being shown, and stopped by its id or name."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omni.access.keys import Keys
from omni.cli import main
from omni.model.access import ApiKey
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OMNI_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def omni(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def made(*words: str) -> str:
    done = omni("create", *words)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def find(secret: str) -> ApiKey | None:
    """As a server finds it."""

    async def look() -> ApiKey | None:
        store = SqliteStore(SqliteFile("omni.db"))
        await store.open()
        try:
            return await Keys(store).find(secret)
        finally:
            await store.close()

    return asyncio.run(look())


def test_a_key_that_was_made_opens_the_server_for_its_organisation() -> None:
    shop, other = made("shop"), made("theirs", "--org", "acme")
    assert shop.startswith("pk_")
    found, foreign = find(shop), find(other)
    assert found is not None
    assert foreign is not None
    assert (found.org, found.name) == ("default", "shop")
    assert (foreign.org, foreign.name) == ("acme", "theirs")


def test_the_list_has_names_and_never_a_key() -> None:
    secret = made("shop")
    made("theirs", "--org", "acme")
    listed = omni("list")
    assert "shop" in listed.stdout
    assert "theirs" not in listed.stdout
    assert f"pk_…{secret[-4:]}" in listed.stdout
    assert secret not in listed.output
    [line] = omni("list", "--json").stdout.splitlines()
    assert json.loads(line)["name"] == "shop"
    assert "hash" not in json.loads(line)
    assert "theirs" in omni("list", "--org", "acme").stdout
    find(secret)
    assert "0 s ago" in omni().stdout


def test_a_revoked_key_opens_nothing_and_is_gone_from_the_list() -> None:
    secret, kept = made("shop"), made("other")
    done = omni("revoke", "shop")
    assert done.exit_code == 0, done.output
    assert find(secret) is None
    assert find(kept) is not None
    assert "shop" not in omni("list").stdout
    assert omni("revoke", "shop").exit_code == 2


def test_a_key_whose_name_is_not_its_own_is_named_by_its_id() -> None:
    first, second = made("shop"), made("shop")
    refused = omni("revoke", "shop")
    assert refused.exit_code == 2
    key = find(first)
    assert key is not None
    assert key.id in refused.stderr
    assert omni("revoke", key.id, "--org", "acme").exit_code == 2
    assert omni("revoke", key.id).exit_code == 0
    assert find(first) is None
    assert find(second) is not None


def test_a_key_without_a_name_is_not_made() -> None:
    assert omni("create", " ").exit_code == 2
    assert omni("create", "x", "--org", "").exit_code == 2


def test_the_settings_key_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    made("shop")
    monkeypatch.setenv("OMNI_API_KEY", "pk_the_servers_own_key")
    listed = omni("list")
    assert "OMNI_API_KEY" in listed.stderr
    assert "pk_the_servers_own_key" not in listed.output

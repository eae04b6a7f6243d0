"""`omni operators`: people are added, reset and disabled beside the server, and links sign them in."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result

from omni.access.operators.links import Links
from omni.access.operators.passwords import Passwords
from omni.access.operators.sessions import Sessions
from omni.access.seal import Sealer, kept_secret
from omni.cli import main
from omni.cli.operators import YOU, own_link
from omni.model.operator import Operator
from omni.settings import load
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore

PASSWORD = "correct horse battery"
T = TypeVar("T")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OMNI_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def omni(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["operators", *words], input=typed)


def done(*words: str, typed: str | None = None) -> Result:
    result = omni(*words, typed=typed)
    assert result.exit_code == 0, result.output
    return result


def at_the_server(ask: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """What a server over the same file sees."""

    async def look() -> T:
        store = SqliteStore(SqliteFile("omni.db"))
        await store.open()
        try:
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(look())


def known(email: str = "ada@example.com") -> Operator:
    found = at_the_server(lambda store: store.operator_by_email(email))
    assert found is not None
    return found


def who(link: str) -> Operator:
    """Whom a server lets in by a link."""

    async def ask(store: SqliteStore) -> Operator:
        sealer = Sealer(await kept_secret(store, time.time()))
        return await Links(sealer, store).open(link.strip().partition("#link=")[2])

    return at_the_server(ask)


def test_the_link_of_somebody_new_signs_them_in() -> None:
    made = done("add", " Ada@Example.com ", "--name", "Ada", "--role", "admin")
    assert made.stdout.startswith("http://127.0.0.1:8080/inbox#link=lnk_")
    assert "within 15 minutes" in made.stderr
    ada = who(made.stdout)
    assert (ada.email, ada.name, ada.role, ada.password_hash) == ("ada@example.com", "Ada", "admin", None)


def test_a_link_has_the_public_address_and_the_settings_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_PUBLIC_URL", "https://inbox.example.com/")
    monkeypatch.setenv("OMNI_SECRET", "0123456789abcdef")
    made = done("add", "ada@example.com")
    assert made.stdout.startswith("https://inbox.example.com/inbox#link=lnk_")

    async def ask(store: SqliteStore) -> Operator:
        return await Links(Sealer("0123456789abcdef"), store).open(made.stdout.strip().partition("#link=")[2])

    assert at_the_server(ask).name == "ada"


def test_a_password_is_read_from_standard_input_and_shown_nowhere() -> None:
    made = done("add", "ada@example.com", "--password-stdin", typed=f"{PASSWORD}\n")
    assert PASSWORD not in made.output
    hash_ = known().password_hash
    assert asyncio.run(Passwords().verify(hash_, PASSWORD))
    short = omni("add", "eve@example.com", "--password-stdin", typed="short\n")
    assert short.exit_code == 2
    assert "10 or more" in short.stderr
    assert "Traceback" not in short.output


@pytest.mark.parametrize(
    "words",
    [("add", "no address"), ("add", "ada@example.com"), ("reset", "b@example.com"), ("disable", "x"), ("list",)],
)
def test_what_cannot_be_done_is_one_sentence(words: tuple[str, ...]) -> None:
    if words != ("list",):
        done("add", "ada@example.com")
    refused = omni(*words)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("omni: ")
    assert len(refused.stderr.splitlines()) == 1


def test_the_list_says_who_and_never_a_hash() -> None:
    done("add", "ada@example.com", "--name", "Ada", "--role", "admin", "--password-stdin", typed=f"{PASSWORD}\n")
    done("add", "bob@example.com")
    done("add", "eve@example.com", "--org", "acme")
    done("disable", "bob@example.com")
    listed = done("list")
    ada, bob = listed.stdout.splitlines()[1:]
    assert ada.split() == ["ada@example.com", "Ada", "admin", "password", "never"]
    assert "disabled" in bob
    assert "eve@" not in listed.stdout
    lines = [json.loads(line) for line in done("list", "--json").stdout.splitlines()]
    assert [line["email"] for line in lines] == ["ada@example.com", "bob@example.com"]
    assert "$argon2" not in done("list", "--json").output + listed.output
    assert "no operators yet" in done("list", "--org", "empty").stdout


def _session() -> str:
    async def begin(store: SqliteStore) -> str:
        ada = await store.operator_by_email("ada@example.com")
        assert ada is not None
        return (await Sessions(store).begin(ada))[0]

    return at_the_server(begin)


def _is_signed_in(cookie: str) -> bool:
    async def ask(store: SqliteStore) -> bool:
        return await Sessions(store).find(cookie) is not None

    return at_the_server(ask)


def test_a_reset_takes_password_and_sessions_and_gives_a_link() -> None:
    done("add", "ada@example.com", "--password-stdin", typed=f"{PASSWORD}\n")
    cookie = _session()
    assert _is_signed_in(cookie)
    reset = done("reset", "ada@example.com")
    assert not _is_signed_in(cookie)
    assert known().password_hash is None
    assert who(reset.stdout).email == "ada@example.com"


def test_who_is_disabled_is_signed_out_until_enabled_and_the_only_admin_cannot_be() -> None:
    done("add", "ada@example.com")
    done("add", "boss@example.com", "--role", "admin")
    cookie = _session()
    done("disable", "ada@example.com")
    assert not _is_signed_in(cookie)
    assert omni("reset", "ada@example.com").exit_code == 2
    done("enable", "ada@example.com")
    assert known().disabled_at is None
    refused = omni("disable", "boss@example.com")
    assert refused.exit_code == 2
    assert "only admin" in refused.stderr


def test_what_is_done_in_a_terminal_is_in_the_audit() -> None:
    done("add", "ada@example.com")
    done("disable", "ada@example.com")
    records = at_the_server(lambda store: store.audit("default"))
    assert [(one.action, one.actor) for one in records] == [("operator.change", "cli"), ("operator.add", "cli")]


def test_the_demos_user_is_made_once_and_gets_a_link_each_time() -> None:
    settings = load(store_url="sqlite:///omni.db", host="0.0.0.0", port=8123)
    first, second = asyncio.run(own_link(settings)), asyncio.run(own_link(settings))
    assert first.startswith("http://127.0.0.1:8123/inbox#link=lnk_")
    assert first != second
    you = known(YOU)
    assert you.role == "admin"
    assert who(first).id == who(second).id == you.id

"""`omni agents`: who answers, and whose program is connected."""

from __future__ import annotations

import json
from typing import Any

from omni import Omni
from omni.cli.address import Address


async def test_the_store_says_who_answers_and_whose_program_is_connected(
    omni: Any, address: Address, server: Any
) -> None:
    omni.variables["OMNI_STORE_URL"] = f"sqlite:///{omni.folder / 'server.db'}"
    program = Omni(address.url, address.key)
    desk = program.agent("desk")
    async with program:
        await desk.ready()
        rows = {line.split()[0]: line for line in (await omni("agents")).out.splitlines()}
        assert rows.keys() == {"AGENT", "desk", "echo", "thinker"}
        assert "connected for " in rows["desk"]
        assert "–" in rows["echo"]
        told = {one["slug"]: one for one in map(json.loads, (await omni("agents", "--json")).out.splitlines())}
        assert told["desk"]["connected_since"] > 0
        assert told["echo"]["connected_since"] is None
    rows = {line.split()[0]: line for line in (await omni("agents", "list")).out.splitlines()}
    assert "not connected" in rows["desk"]


async def test_a_running_server_says_whose_programs_are_connected(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    assert (await omni("agents")).out == f"No program is connected to {address.url}.\n"
    program = Omni(address.url, address.key)
    desk = program.agent("desk")
    async with program:
        await desk.ready()
        assert (await omni("agents")).out.splitlines()[1].split() == ["desk", "–", "none"]
        assert json.loads((await omni("agents", "--json")).out)["slug"] == "desk"
        assert (await omni("chat", typed="")).status == 0


async def test_a_server_that_is_away_or_refuses_is_a_sentence(omni: Any, address: Address, free_port: int) -> None:
    for url, key, sentence in (
        (f"http://127.0.0.1:{free_port}", "k", "no server answers"),
        (address.url, "pk_wrong", "refuses the API key"),
        (f"{address.url}/nowhere", address.key, "answered 404"),
    ):
        done = await omni("agents", "--server", url, "--api-key", key)
        assert done.status == 2
        assert sentence in done.err
        assert len(done.err.splitlines()) == 1

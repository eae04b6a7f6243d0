"""`omni kick`: one sentence, whatever comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from omni import Omni
from omni.cli.address import Address
from omni.sdk.errors import DisplacedError


async def test_a_kicked_program_stays_away_and_its_name_is_free(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    program = Omni(address.url, address.key)
    program.agent("Front Desk")
    await program.start()
    done = await omni("kick", "Front Desk")
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "front-desk is kicked: its program is disconnected, and another one may connect as front-desk now.\n"
    )
    with pytest.raises(DisplacedError):
        await program.wait()
    await program.close()
    async with Omni(address.url, address.key) as another:
        await another.agent("front-desk").ready()


async def test_an_agent_without_a_program_and_no_agent_at_all_are_told_apart(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    for agent, sentence in (
        ("echo", "omni: no program is connected for the agent 'echo'\n"),
        ("nobody", "omni: there is no agent 'nobody'\n"),
        ("?!", "omni: '?!' cannot name an agent; `omni agents` shows their names\n"),
    ):
        done = await omni("kick", agent)
        assert (done.status, done.out, done.err) == (2, "", sentence)


async def test_a_server_that_is_away_or_refuses_to_kick_is_a_sentence(
    omni: Any, address: Address, free_port: int
) -> None:
    for url, key, sentence in (
        (f"http://127.0.0.1:{free_port}", "k", "no server answers"),
        (address.url, "pk_wrong", "refuses the API key"),
        (f"{address.url}/nowhere", address.key, "is it an omni server?"),
    ):
        done = await omni("kick", "echo", "--server", url, "--api-key", key)
        assert done.status == 2
        assert sentence in done.err
        assert len(done.err.splitlines()) == 1

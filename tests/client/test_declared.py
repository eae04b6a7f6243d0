"""An agent that a file declares and a program registers: each decides what is its own."""

from __future__ import annotations

from omni.app.declared import as_declared, introduce
from omni.gateway.client.configs.agent import SAID, created, with_channel, with_overrides
from omni.live.presence import program_lease
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.channel import ChatChannel, PhoneChannel
from tests.client.stage import Stage
from tests.server.shop import agent_of, until

FILE = Agent(slug="desk", prompt="file", debounce_ms=7, channels=(ChatChannel(),))
KNOWN = with_channel(
    created(FILE, {"prompt": "program", "llm": "openai/m"}, ()).model_copy(
        update={"debounce_ms": 1, "is_paused": True}
    ),
    PhoneChannel(number="+34911222333"),
)


def test_a_new_agent_is_as_declared() -> None:
    assert as_declared(FILE, None, is_connected=False) == FILE


def test_without_its_program_the_file_decides_all_but_the_pause() -> None:
    assert as_declared(FILE, KNOWN, is_connected=False) == FILE.model_copy(update={"is_paused": True})


def test_beside_its_program_the_file_decides_the_rest() -> None:
    found = as_declared(FILE, KNOWN, is_connected=True)
    assert (found.prompt, found.brain, found.llm.model) == ("program", "llm", "m")
    assert (found.debounce_ms, found.is_paused) == (7, True)
    assert [channel.id for channel in found.channels] == ["chat", "phone:+34911222333"]


def test_a_program_s_settings_of_a_declared_channel_stay() -> None:
    overrides = Overrides(language="es")
    known = with_channel(KNOWN, ChatChannel(overrides=overrides))
    found = as_declared(FILE, known, is_connected=True)
    assert next(channel for channel in found.channels if channel.id == "chat").overrides == overrides


def test_a_program_s_settings_of_a_number_it_shares_stay() -> None:
    overrides = Overrides(language="es")
    found = as_declared(FILE, with_overrides(KNOWN, "phone:+34600111222", overrides), is_connected=True)
    assert found.overrides_on("phone:+34600111222") == overrides


def test_what_programs_decide_are_fields_of_agents() -> None:
    assert set(SAID) < set(Agent.model_fields)


async def test_a_process_that_starts_leaves_a_connected_program_s_agent_alone(stage: Stage) -> None:
    await stage.open()
    program = await stage.desk(prompt="program")
    await introduce(stage.shop.engines.store, agent_of("desk", brain="client", prompt="file"))
    assert (await stage.agent()).prompt == "program"
    await program.close()
    await until(lambda: _has_left(stage))
    await introduce(stage.shop.engines.store, agent_of("desk", brain="client", prompt="file"))
    assert (await stage.agent()).prompt == "file"


async def _has_left(stage: Stage) -> bool:
    return not await stage.shop.engines.store.leases(program_lease("default", "desk"), now=0)

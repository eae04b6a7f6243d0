"""`omni serve` in processes of its own: any start order, and a stop in the middle of work that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from channels.whatsapp.simulator import FaultRule, Simulator, StatusPlan, WebhookPlan, running
from tests.ports import free_ports
from tests.server.shop import NUMBER, OURS, PATIENCE, ROOT, SECRETS, simulator_settings, until

EXIT_SECONDS = 10
ROLES = ("delivery", "session", "gateway")
SLOWLY = [{"when": "(?s).*", "say": "You said: {{ text }}", "wait_ms": 40}]


@dataclass(slots=True)
class Roles:
    """Processes by role, and what they wrote."""

    folder: Path
    ports: dict[str, int]
    http: aiohttp.ClientSession
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def start(self, role: str) -> None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.processes[role] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omni", "serve", "--role", role, "--port", str(self.ports[role]),
            cwd=self.folder, env={**variables, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await until(lambda: self._answers(role))

    async def _answers(self, role: str) -> bool:
        process = self.processes[role]
        if process.returncode is not None:
            pytest.fail((await process.communicate())[0].decode())
        try:
            async with self.http.get(f"http://127.0.0.1:{self.ports[role]}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self, role: str) -> None:
        """SIGTERM; it has to end by itself, in time, with status 0."""
        process = self.processes.pop(role)
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            out, _ = await process.communicate()
            pytest.fail(f"{role} did not end within {EXIT_SECONDS} s:\n{out.decode()}")
        self.said.append(out.decode())
        assert process.returncode == 0, out.decode()

    async def end(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            self.said.append((await process.communicate())[0].decode())


@asynccontextmanager
async def town(
    folder: Path, engine: dict[str, Any], roles: Sequence[str], **agent: Any
) -> AsyncIterator[tuple[Simulator, Roles]]:
    """The stand-in, and a config for processes that nobody has started yet."""
    ports = dict(zip(roles, free_ports(len(roles)), strict=True))
    front = ports[roles[-1]]
    plan = WebhookPlan(retry_ms=(50,) * 600)
    settings = simulator_settings(
        f"http://127.0.0.1:{front}", port=0, webhooks=plan, statuses=StatusPlan(sent_ms=5, delivered_ms=9, read_ms=15)
    )
    async with running(settings) as (simulator, graph_url), aiohttp.ClientSession() as http:
        line = {"kind": "whatsapp", "phone_number_id": NUMBER, **SECRETS, "pair_interval": 0}
        declared = {"slug": "echo", "brain": "script", "debounce_ms": 0, "script": SLOWLY, "channels": [line], **agent}
        config = {"partitions": 2, "settle_wait": 1, **engine, "whatsapp_graph_url": graph_url, "agents": [declared]}
        (folder / "omni.yaml").write_text(yaml.safe_dump(config))
        group = Roles(folder, ports, http)
        try:
            yield simulator, group
        finally:
            await group.end()
        whole = "".join(group.said)
        assert "Traceback" not in whole, whole
        assert not [name for name, secret in SECRETS.items() if secret in whole]


def say_everything(simulator: Simulator, people: Sequence[str], words: Sequence[str]) -> None:
    for word in words:
        for who in people:
            simulator.user_says(f"{word} of {who}", wa_id=who)


async def everything_answered(simulator: Simulator, people: Sequence[str], words: Sequence[str]) -> None:
    """Every message is in one answer (messages that came together share one). Webhooks that were refused while nobody
    listened come again in any order, so the order is not looked at."""

    def heard(who: str) -> list[str]:
        texts = [sent.body["text"]["body"] for sent in simulator.sent(to=who)]
        return [line for text in texts for line in text.removeprefix("You said: ").splitlines()]

    wanted = {who: sorted(f"{word} of {who}" for word in words) for who in people}
    try:
        await until(lambda: all(len(heard(who)) >= len(words) for who in people), PATIENCE)
    except TimeoutError:
        lost = {who: heard(who) for who in people if len(heard(who)) < len(words)}
        pytest.fail(f"not answered: {lost}")
    assert {who: sorted(heard(who)) for who in people} == wanted


async def test_roles_may_start_in_any_order_and_stop_under_load(tmp_path: Path, services: dict[str, Any]) -> None:
    people = [f"1202559{number:04}" for number in range(5)]
    words = ("one", "two", "three")
    async with town(tmp_path, services, ROLES) as (simulator, roles):
        simulator.user_says("before anybody was there", wa_id=people[0])
        for role in ROLES:
            await roles.start(role)
        await simulator.wait_sent(1, to=people[0], timeout=PATIENCE)
        for role in ROLES:
            say_everything(simulator, people[1:], [f"{word} ({role})" for word in words])
            await simulator.wait_sent(1, after=len(simulator.sent()), timeout=PATIENCE)  # it is in the middle of it
            await roles.stop(role)
            await roles.start(role)
        await everything_answered(simulator, people[1:], [f"{word} ({role})" for role in ROLES for word in words])
        for role in reversed(ROLES):
            await roles.stop(role)


@pytest.mark.parametrize("first", ["gateway", "session"])
async def test_what_came_before_the_others_were_up_waits_for_them(
    tmp_path: Path, services: dict[str, Any], first: str
) -> None:
    order = [first, *(role for role in ROLES if role != first)]
    async with town(tmp_path, services, ROLES) as (simulator, roles):
        await roles.start(order[0])
        simulator.user_says("hello", wa_id="12025591000")
        for role in order[1:]:
            await roles.start(role)
        (sent, *_) = await simulator.wait_sent(1, timeout=PATIENCE)
        assert sent.body["text"]["body"] == "You said: hello"
        for role in ROLES:
            await roles.stop(role)


async def test_one_process_stopped_under_load_goes_on_where_it_was(tmp_path: Path) -> None:
    people = [f"1202558{number:04}" for number in range(20)]
    words = ("one", "two", "three")
    engine = {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal"}
    async with town(tmp_path, engine, ("all",)) as (simulator, roles):
        await roles.start("all")
        for again in range(2):
            say_everything(simulator, people, [f"{word} ({again})" for word in words])
            await simulator.wait_sent(3, after=len(simulator.sent()), timeout=PATIENCE)
            await roles.stop("all")
            await roles.start("all")
        await everything_answered(simulator, people, [f"{word} ({again})" for again in range(2) for word in words])
        await roles.stop("all")


async def test_a_provider_that_hangs_does_not_hold_a_stop(tmp_path: Path) -> None:
    engine = {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal"}
    async with town(tmp_path, engine, ("all",)) as (simulator, roles):
        await roles.start("all")
        simulator.add_fault(FaultRule(kind="hang"))
        simulator.user_says("hello")
        await until(lambda: simulator.faults.applied.get("hang"))
        await roles.stop("all")
        assert not simulator.sent()
        await roles.start("all")
        (sent,) = await simulator.wait_sent(1, timeout=PATIENCE)
        assert sent.body["text"]["body"] == "You said: hello"
        await roles.stop("all")

"""`omni serve`: one process, and three roles that start in any order on RabbitMQ and MongoDB."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aiohttp

from channels.whatsapp.simulator import SimulatorSettings, running
from omni.bus.rabbitmq import RabbitBus
from omni.model.queues import Queue, every_queue

AGENT = {
    "slug": "echo",
    "brain": "script",
    "debounce_ms": 0,
    "script": [{"when": "(?s).*", "say": "You said: {{ text }}"}],
}


def _agents(pretend: SimulatorSettings) -> str:
    channel = {
        "kind": "whatsapp",
        "phone_number_id": pretend.phone_number_id,
        "access_token": pretend.access_token,
        "app_secret": pretend.app_secret,
        "verify_token": pretend.verify_token,
    }
    return json.dumps([{**AGENT, "channels": [channel]}])


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with session.get(f"{url}/ready") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.05)


async def _converse(session: aiohttp.ClientSession, url: str) -> str:
    body = {"from": "15551230001", "type": "text", "text": "ahoy"}
    async with session.post(f"{url}/control/messages", json=body) as answer:
        assert answer.ok
    while True:
        async with session.get(f"{url}/control/sent") as answer:
            sent = (await answer.json())["sent"]
        if sent:
            return str(sent[0]["message"]["text"]["body"])
        await asyncio.sleep(0.02)


async def _ends_well(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert [await process.wait() for process in processes] == [0] * len(processes)


async def test_one_process_answers_and_ends_with_status_0(
    omni: Any, free_port: int, session: aiohttp.ClientSession, ended: Callable[..., Any]
) -> None:
    pretend = SimulatorSettings(port=0, webhook_url=f"http://127.0.0.1:{free_port}/whatsapp/webhook")
    async with running(pretend) as (_, url):
        omni.variables |= {"OMNI_WHATSAPP_GRAPH_URL": url, "OMNI_AGENTS": _agents(pretend), "OMNI_LOG_FORMAT": "json"}
        server = await omni.start("serve", "--port", str(free_port))
        try:
            await _until_ready(session, f"http://127.0.0.1:{free_port}")
            assert await _converse(session, url) == "You said: ahoy"
            await _ends_well([server])
            for line in (await server.stderr.read()).splitlines():
                assert json.loads(line)["level"] in ("info", "warning")
        finally:
            await ended(server)


async def test_roles_start_in_any_order_and_answer_together(
    omni: Any,
    free_ports: Callable[[int], list[int]],
    session: aiohttp.ClientSession,
    ended: Callable[..., Any],
    rabbitmq_url: str,
    rabbitmq_prefix: str,
    mongo_url: str,
) -> None:
    ports = free_ports(3)
    pretend = SimulatorSettings(port=0, webhook_url=f"http://127.0.0.1:{ports[0]}/whatsapp/webhook")
    async with running(pretend) as (_, url):
        omni.variables |= {
            "OMNI_WHATSAPP_GRAPH_URL": url,
            "OMNI_AGENTS": _agents(pretend),
            "OMNI_BUS_URL": rabbitmq_url,
            "OMNI_BUS_PREFIX": rabbitmq_prefix.rstrip("."),
            "OMNI_STORE_URL": mongo_url,
            "OMNI_PARTITIONS": "2",
        }
        processes: list[asyncio.subprocess.Process] = []
        try:
            for role, port in zip(("delivery", "session", "gateway"), reversed(ports), strict=True):
                processes.append(await omni.start("serve", "--role", role, "--port", str(port)))
            for port in ports:
                await _until_ready(session, f"http://127.0.0.1:{port}")
            assert await _converse(session, url) == "You said: ahoy"
            doctor = await omni("doctor")
            assert doctor.status == 0, doctor.out
            assert "published and received" in doctor.out
            assert "You said: ahoy" in (await omni("calls", "show")).out
            await _ends_well(processes)
        finally:
            for process in processes:
                await ended(process)
            await _take_note_of_queues(rabbitmq_url, rabbitmq_prefix.rstrip("."))


async def _take_note_of_queues(url: str, prefix: str) -> None:
    """Declare what the processes declared, so that the fixture knows what to delete."""
    bus = RabbitBus(url, prefix=prefix)
    await bus.open()
    try:
        await bus.declare((*every_queue(2), Queue(name="doctor", is_exclusive=False)))
    finally:
        await bus.close()


def test_a_server_may_open_more_files_than_a_shell_begins_with() -> None:
    code = (
        "import resource\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "from omni.cli.serve import MOST_FILES, allow_many_sockets\n"
        "allow_many_sockets()\n"
        "soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n"
        "assert soft >= min(MOST_FILES, hard if hard > 0 else MOST_FILES) > 256, soft\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""The users that RabbitMQ and MongoDB know omni as: all that it does, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from servers import rabbitmq

from omni.bus.base import BusError, Outgoing, Received
from omni.bus.rabbitmq import RabbitBus
from omni.bus.rabbitmq.topology import DELAY_STEPS, DELIVERY_LIMIT, Topology
from omni.model.queues import every_queue, voice_of
from omni.settings import Settings
from tests.infra.parts import program, read

DEFINITIONS = json.loads(read("rabbitmq/definitions.json"))
PREFIX = Settings.model_fields["bus_prefix"].default
TOPOLOGY = Topology(PREFIX, DELAY_STEPS, DELIVERY_LIMIT)
OURS = [
    *(TOPOLOGY.queue(queue.name) for queue in (*every_queue(8), voice_of("vw_1"))),
    *(TOPOLOGY.delay(round(step * 1000)) for step in DELAY_STEPS),
    TOPOLOGY.dead,
    TOPOLOGY.live,
    "amq.gen-JzTY20BRgKO-HjmUJj0wLg",  # the broker's name for a process's queue of broadcasts
]
OTHERS = ["omnibus.inbound.1", "other.omni.x", "omni", "amq.topic", "amq.direct", "orders"]


def test_the_user_may_do_what_omni_does_and_no_more() -> None:
    (permission,) = DEFINITIONS["permissions"]
    for act in ("configure", "write", "read"):
        assert all(re.search(permission[act], name) for name in OURS)
        assert not any(re.search(permission[act], name) for name in OTHERS)
        # Publishing to a queue, and dead-lettering into one, go through the broker's default exchange.
        assert bool(re.search(permission[act], "amq.default")) == (act == "write")
    (user,) = DEFINITIONS["users"]
    assert user["tags"] == []


def test_the_policy_is_of_queues_that_grow() -> None:
    (policy,) = DEFINITIONS["policies"]
    found = {name.split(".")[1] for name in OURS if re.search(policy["pattern"], name)}
    assert found == {"inbound", "outbound", "commands", "webhooks"}


def test_the_program_makes_the_same_secrets_fit_each_other(tmp_path: Path) -> None:
    make = program("make-secrets")
    make.main(tmp_path / "s")
    first = {file.name: file.read_text() for file in (tmp_path / "s").iterdir()}
    make.main(tmp_path / "s")
    assert {file.name: file.read_text() for file in (tmp_path / "s").iterdir()} == first
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    bus = urlsplit(first["omni_bus_url"].strip())
    user = json.loads(first["rabbitmq_definitions"])["users"][0]
    kept = base64.b64decode(user["password_hash"])
    assert bus.username == user["name"]
    assert kept[4:] == hashlib.sha256(kept[:4] + (bus.password or "").encode()).digest()
    assert bus.path == f"/{DEFINITIONS['vhosts'][0]['name']}"
    store = urlsplit(first["omni_store_url"].strip())
    assert store.password == first["mongo_omni_password"].strip()
    for name in ("secret", "api_key", "store_url", "bus_url"):
        Settings(**{name: first[f"omni_{name}"].strip()})


def test_the_user_of_mongodb_reads_and_writes_one_database() -> None:
    script = read("mongodb/user.js")
    assert re.findall(r"roles: (.*),", script) == ['[{ role: "readWrite", db: "omni" }]']
    assert 'getSiblingDB("omni")' in script
    assert "authSource=omni" in read("make-secrets")


def _rabbitmqctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["rabbitmqctl", "--quiet", *words],
        env={**os.environ, **rabbitmq.environment()},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.fixture
def least(rabbitmq_url: str) -> Iterator[str]:
    """The broker's address for a user and a virtual host of this test's own, with the rights of the example."""
    name = f"omni-test-{uuid.uuid4().hex[:8]}"
    filled: dict[str, Any] = json.loads(read("rabbitmq/definitions.json"))
    filled["vhosts"][0]["name"] = name
    filled["users"][0] |= {"name": name, "password_hash": program("make-secrets").hashed("pass")}
    for one in filled["permissions"]:
        one |= {"user": name, "vhost": name}
    for one in filled["policies"]:
        one["vhost"] = name
    parts = urlsplit(rabbitmq_url)
    if shutil.which("rabbitmqctl") is None or parts.hostname not in ("localhost", "127.0.0.1"):
        pytest.skip("rabbitmqctl of the tests' broker is not here")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # in a folder that the broker's user may read
        file.write(json.dumps(filled))
        file.flush()
        Path(file.name).chmod(0o644)
        run = _rabbitmqctl("import_definitions", file.name)
    if run.returncode:
        pytest.skip(f"rabbitmqctl cannot speak with the tests' broker: {run.stderr[-300:]}")
    yield f"amqp://{name}:pass@{parts.hostname}:{parts.port or 5672}/{name}"
    vhost = f'rabbit_vhost:delete(<<"{name}">>, <<"test">>)'
    user = f'rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"test">>)'
    _rabbitmqctl("eval", f"{vhost}, {user}.")


@pytest.mark.timeout(120)
async def test_the_broker_lets_the_user_do_all_that_omni_does(least: str) -> None:
    bus = RabbitBus(least, prefix=PREFIX)
    await bus.open()
    try:
        await bus.declare([*every_queue(2), voice_of("vw_1")])
        taken: asyncio.Queue[Received] = asyncio.Queue()
        consumer = await bus.consume(every_queue(2)[0], taken.put_nowait, prefetch=1)
        queue = every_queue(2)[0].name
        await bus.publish([Outgoing(queue, b"1", "1"), Outgoing(queue, b"2", "2")])
        (await taken.get()).nack("again", delay=0.5)  # by way of a delay queue
        (await taken.get()).bury("enough")
        (await taken.get()).ack()
        await consumer.stop()
        assert [letter.id for letter in await bus.dead_letters()] == ["2"]
        assert await bus.purge() == 1
        async with bus.listen("news") as news:
            await bus.broadcast("news", b"heard")
            assert await anext(news) == b"heard"
        assert (await bus.depth(queue)).ready == 0
        await bus.ping()
    finally:
        await bus.close()
    stranger = RabbitBus(least, prefix="stranger")
    with pytest.raises(BusError, match=r"access to queue 'stranger\.dead' .* refused"):
        await stranger.open()
    await stranger.close()

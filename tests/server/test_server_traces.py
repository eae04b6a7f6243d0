"""A turn as one trace, across processes: what a collector is told, and what it must not break."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.whatsapp.simulator import StatusPlan
from omni import Omni
from omni.telemetry import tracing
from tests.brains.llm_server import LlmServer, Reply, chunk
from tests.ports import free_ports
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, PATIENCE, SECRETS, agent_of, until
from tests.server.test_server_processes import ROLES, town
from tests.telemetry.collector import Collector, ask_for_traces, collecting

USAGE = json.dumps({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 4}}).encode()
TURN = [
    "POST /whatsapp/webhook",
    "  send inbound",
    "    process inbound",
    "      invoke_agent echo",
    "        chat small-model",
    "        send outbound",
    "          process outbound",
    "            send whatsapp",
]
FAST = StatusPlan(sent_ms=5, delivered_ms=20, read_ms=40)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> AsyncIterator[Collector]:
    async with collecting() as one:
        ask_for_traces(monkeypatch, one.url)
        yield one


def model(llm: LlmServer) -> dict[str, Any]:
    llm.otherwise = lambda _: Reply((chunk({"content": "Good day"}), chunk({}, "stop"), USAGE))
    return {"retries": 0, "model": "small-model"}


def turn_in(collector: Collector, trace: str) -> list[str]:
    """Without the statuses: which of them come depends on how quick the provider is."""
    return [line for line in collector.tree(trace) if not line.strip().startswith("status ")]


async def whole_turn(collector: Collector) -> str:
    await until(lambda: collector.named("status delivered") and collector.named("POST /whatsapp/webhook"))
    trace = collector.trace_of("status delivered")
    await until(lambda: len(turn_in(collector, trace)) >= len(TURN))
    return trace


def nothing_private(collector: Collector) -> None:
    told = json.dumps([[span.name, span.attributes, span.resource] for span in collector.spans])
    for private in (ADA, "Good day", "a secret wish", *SECRETS.values()):
        assert private not in told


async def test_a_turn_is_one_trace(
    open_shop: OpenShop, engine: dict[str, Any], collector: Collector, llm: LlmServer
) -> None:
    agent = agent_of(brain="llm", llm=model(llm), script=())
    shop = await open_shop(engine, agent, llm_base_url=llm.base_url, simulator={"statuses": FAST})
    shop.say("a secret wish")
    assert await shop.answers() == ["Good day"]
    trace = await whole_turn(collector)
    assert turn_in(collector, trace) == TURN
    assert "            status delivered" in collector.tree(trace)
    (chat,) = collector.named("chat small-model")
    assert chat.attributes["gen_ai.request.model"] == "small-model"
    assert chat.attributes["gen_ai.response.model"] == "m"
    assert (chat.attributes["gen_ai.usage.input_tokens"], chat.attributes["gen_ai.usage.output_tokens"]) == (21, 4)
    assert chat.resource["service.name"] == "omni-under-test"
    (status,) = collector.named("status delivered")
    (told,) = status.links
    assert "POST /whatsapp/webhook" in collector.tree(told)  # the provider's request has a trace of its own
    assert told != trace
    nothing_private(collector)
    async with shop.http.get(f"{shop.url}/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
        told = await answer.text()
    assert answer.content_type == "application/openmetrics-text"
    assert any(
        line.startswith("omni_turn_seconds_bucket") and f'# {{trace_id="{trace}"}}' in line
        for line in told.splitlines()
    )
    await shop.server.stop()
    assert not tracing.is_on()


async def test_a_turn_is_one_trace_across_processes(
    tmp_path: Path, services: dict[str, Any], collector: Collector, llm: LlmServer
) -> None:
    engine = {**services, "llm_base_url": llm.base_url}
    async with town(tmp_path, engine, ROLES, brain="llm", llm=model(llm), script=[]) as (simulator, roles):
        for role in ROLES:
            await roles.start(role)
        simulator.user_says("a secret wish", wa_id=ADA)
        (sent,) = await simulator.wait_sent(1, to=ADA, timeout=PATIENCE)
        assert sent.body["text"]["body"] == "Good day"
        trace = await whole_turn(collector)
        assert turn_in(collector, trace) == TURN
        spans = {span.name: span.resource for span in collector.spans if span.trace == trace}
        assert spans["POST /whatsapp/webhook"]["omni.role"] == "gateway"
        assert spans["chat small-model"]["omni.role"] == "session"
        assert spans["send whatsapp"]["omni.role"] == "delivery"
        assert len({resource["service.instance.id"] for resource in spans.values()}) == 3
        nothing_private(collector)
        for role in ROLES:
            await roles.stop(role)


async def test_a_developers_webhook_is_told_of_the_trace(
    open_shop: OpenShop, embedded: dict[str, Any], collector: Collector
) -> None:
    heard: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get("traceparent"))
        return web.json_response({"text": "Good day"})

    app = web.Application()
    app.router.add_post("/turns", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/turns"
        shop = await open_shop(
            embedded, agent_of(brain="webhook", script=(), webhook={"url": url, "secret": "w" * 32}),
            simulator={"statuses": FAST},
        )  # fmt: skip
        shop.say("a secret wish")
        assert await shop.answers() == ["Good day"]
        await until(lambda: collector.named("POST"))
        (asked,) = collector.named("POST")
        assert heard == [f"00-{asked.trace}-{asked.id}-01"]
        assert asked.attributes["http.response.status_code"] == 200
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("manner", ["away", "refuses", "rubbish", "hangs"])
async def test_a_collector_that_is_not_well_harms_nobody(
    open_shop: OpenShop,
    embedded: dict[str, Any],
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    manner: Any,
) -> None:
    if manner == "away":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    else:
        collector.manner = manner
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    shop = await open_shop(embedded, agent_of(), simulator={"statuses": FAST})
    for number in range(12):
        shop.say(f"word {number}", f"1202555{number:04}")
    for number in range(12):
        assert await shop.answers(1, f"1202555{number:04}") == [f"You said: word {number}"]
    if manner != "away":
        await until(lambda: collector.asked)
    await shop.server.stop()  # it is not held up: the last spans have two seconds


async def test_messages_that_are_answered_together_are_the_newest_ones_turn(
    open_shop: OpenShop, embedded: dict[str, Any], collector: Collector
) -> None:
    shop = await open_shop(embedded, agent_of(debounce_ms=400), simulator={"statuses": FAST})
    shop.say("one")
    await until(lambda: collector.named("process inbound"))
    first = collector.trace_of("process inbound")
    shop.say("two")
    assert await shop.answers() == ["You said: one\ntwo"]
    await until(lambda: collector.named("send whatsapp"))
    trace = collector.trace_of("invoke_agent echo")
    assert trace != first
    assert turn_in(collector, trace) == [line for line in TURN if "chat" not in line]
    assert not any("invoke_agent" in line for line in collector.tree(first))


async def test_a_connected_program_is_a_span_until_it_has_answered(
    open_shop: OpenShop, embedded: dict[str, Any], collector: Collector
) -> None:
    shop = await open_shop(
        embedded, agent_of(brain="client", script=()), simulator={"statuses": FAST}, api_key="pk_of_this_test"
    )
    async with Omni(shop.url, "pk_of_this_test") as program:
        agent = program.agent("echo")

        @agent.on("user.message")
        def answer(turn: Any, call: Any) -> None:
            call.reply("Good day", turn)

        await agent.ready()
        shop.say("a secret wish")
        assert await shop.answers() == ["Good day"]
        await until(lambda: collector.named("send whatsapp") and collector.named("invoke_agent echo"))
        trace = collector.trace_of("invoke_agent echo")
        assert collector.trace_of("send whatsapp") == trace
        (span,) = collector.named("invoke_agent echo")
        assert span.attributes["omni.brain"] == "client"

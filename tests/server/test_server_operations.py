"""What the people who run the server are promised: it says how it is, and never a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from yarl import URL

from channels.whatsapp.simulator import FaultRule
from tests.server.conftest import OpenShop
from tests.server.shop import SECRETS, Proxy, agent_of, until

ProxyTo = Callable[[str, int], Awaitable[Proxy]]

METRICS = (
    "omni_webhook_seconds",
    "omni_webhook_items_total",
    "omni_turn_seconds",
    "omni_turns_total",
    "omni_brain_errors_total",
    "omni_tool_seconds",
    "omni_deliveries_total",
    "omni_delivery_seconds",
    "omni_provider_seconds",
    "omni_unclear_sends_total",
    "omni_statuses_total",
    "omni_media_total",
    "omni_queue_ready",
    "omni_queue_taken",
    "omni_queue_age_seconds",
    "omni_dead_letters_total",
    "omni_open_actors",
    "omni_loop_lag_seconds",
    "omni_handovers_total",
    "omni_input_age_seconds",
)


async def test_health_and_ready_answer_on_every_engine(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    status, text = await shop.get("/health")
    assert (status, json.loads(text)) == (200, {"status": "ok"})
    status, text = await shop.get("/ready")
    assert (status, json.loads(text)) == (200, {"status": "ready"})


async def test_every_metric_has_its_name(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    await shop.delivered("read")
    status, text = await shop.get("/metrics")
    assert status == 200
    missing = [name for name in METRICS if f"# TYPE {name.removesuffix('_total')}" not in text]
    assert not missing
    for queue in ("inbound.0", "outbound.0", "statuses", "media"):
        assert f'omni_queue_ready{{queue="{queue}"}}' in text
    assert 'omni_deliveries_total{channel="whatsapp",origin="bot",outcome="sent"}' in text
    assert "12025550171" not in text


# PyMongo's monitor leaves its socket to the garbage collector when it is cancelled while it connects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("engine_cut", ["bus", "store"])
async def test_a_server_whose_engine_is_away_says_so_and_goes_on_when_it_is_back(
    proxy_to: ProxyTo, open_shop: OpenShop, services: dict[str, Any], engine_cut: str
) -> None:
    """The door to the engine is asked for first, and so stays until the server behind it has left."""
    name = "bus_url" if engine_cut == "bus" else "store_url"
    real = URL(services[name])
    assert real.host is not None
    assert real.port is not None
    proxy = await proxy_to(real.host, real.port)
    through = real.with_host("127.0.0.1").with_port(proxy.port)
    if engine_cut == "store":
        through = through.update_query(serverSelectionTimeoutMS="500")
    shop = await open_shop({**services, name: str(through)})
    shop.say("before")
    await shop.answers(1)
    proxy.cut()

    async def refuses_work() -> Any:
        status, text = await shop.get("/ready")
        return json.loads(text) if status == 503 else None

    told = await until(refuses_work)
    assert told["status"] == "not ready"
    assert engine_cut in told["problems"]
    assert len(told["problems"][engine_cut]) > 10
    assert "guest:guest" not in json.dumps(told)
    assert (await shop.get("/health"))[0] == 200
    shop.say("meanwhile")  # the provider repeats what we cannot store
    proxy.restore()
    assert (await shop.answers(2))[1] == "You said: meanwhile"

    async def is_ready() -> bool:
        return (await shop.get("/ready"))[0] == 200

    await until(is_ready)


async def test_no_log_line_of_a_whole_run_holds_a_secret(
    open_shop: OpenShop, embedded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    agent = agent_of(channel={"verify_token": "another-verify-token-4410"})
    shop = await open_shop(embedded, agent, probe_every=0.1)
    await shop.simulator.handshake()  # with the wrong token
    for kind in ("server_error", "accept_then_reset", "html_502"):
        shop.simulator.add_fault(FaultRule(kind=kind))  # type: ignore[arg-type]
    shop.simulator.add_fault(FaultRule(kind="auth", times=2))
    shop.say("hello")
    await shop.delivered("read")
    shop.simulator.webhooks.post_raw(b"{not json", "valid")
    shop.simulator.webhooks.post_raw(b"{}", "wrong")
    shop.simulator.add_fault(FaultRule(kind="permanent"))
    shop.say("this one is refused")
    await shop.logged("delivery.failed")
    await shop.server.stop()
    assert "on hold" in caplog.text
    assert "refused" in caplog.text
    text = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    held = [name for name, secret in (*SECRETS.items(), ("ours", "another-verify-token-4410")) if secret in text]
    assert not held


async def test_a_draining_server_tells_load_balancers(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    slowly = {"when": ".*", "say": "done", "wait_ms": 1_000}
    shop = await open_shop(embedded, agent_of(script=[slowly]))
    assert (await shop.get("/ready"))[0] == 200
    assert shop.server._health is not None
    shop.server._health.draining = True
    status, text = await shop.get("/ready")
    assert (status, json.loads(text)["status"]) == (503, "draining")

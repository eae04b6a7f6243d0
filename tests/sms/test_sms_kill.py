"""A server of its own that is killed the moment it has answered a webhook: what it took is not lost, nor said twice."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
import yaml

from channels.twilio.simulator import running
from tests.ports import free_ports
from tests.server.shop import until
from tests.server.test_server_processes import Roles
from tests.sms.desk import ADA, ECHO, LINE, TOKEN, simulator_settings


@pytest.mark.slow
async def test_a_message_outlives_a_kill_and_is_answered_once(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    told = simulator_settings(webhook_url=f"{url}/twilio/sms")
    async with running(told) as (twilio, api_url), aiohttp.ClientSession() as http:
        agent = {"slug": "echo", "brain": "script", "debounce_ms": 400, "script": [ECHO], "channels": [LINE]}
        config = {"partitions": 2, "twilio_api_url": api_url, "settle_wait": 1, "agents": [agent]}
        (tmp_path / "omni.yaml").write_text(yaml.safe_dump(config))
        group = Roles(tmp_path, {"all": port}, http)
        try:
            await group.start("all")
            sid = twilio.texts(ADA, "still there?")
            await until(lambda: twilio.webhooks.answers["200"])
            await group.end()
            group.processes.clear()
            assert twilio.sent() == []  # it was killed while it waited for the person to finish
            await group.start("all")
            twilio.repeat(sid)
            (sent,) = await twilio.wait_sent(1, to=ADA, timeout=30)
            assert sent.body == "You said: still there?"
            twilio.texts(ADA, "good")
            assert [each.body for each in await twilio.wait_sent(2, to=ADA, timeout=30)][1:] == ["You said: good"]
            await group.stop("all")
        finally:
            await group.end()
        assert len(twilio.sent()) == 2
        assert TOKEN not in "".join(group.said)
        assert "Traceback" not in "".join(group.said)

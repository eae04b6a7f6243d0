"""schemathesis reads the document and asks what it allows, and what it does not: nothing breaks the server, and every
answer is one that the document has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from omni.gateway.rest.openapi import PATH
from tests.rest.house import KEY, SMS_LINE, SUPPORT, House

EXAMPLES = 15
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LATE = {("DELETE", "/v1/contacts/{contact_id}"), ("DELETE", "/v1/agents/{agent_id}")}
"""What takes away what the others ask about."""


def operations(schema: Any) -> Iterator[Any]:
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) >= 40
    yield from sorted(found, key=lambda each: (each.method.upper(), each.path) in LATE)


def fuzz(schema: Any, url: str, names: dict[str, str], mode: Any) -> dict[str, int]:
    """Asks every operation; returns how often each was asked."""
    asked: dict[str, int] = {}
    for operation in operations(schema):

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), is_real=st.booleans())
        def run(case: Any, is_real: bool) -> None:
            if is_real:  # nobody guesses an id
                case.path_parameters = {
                    name: names.get(name, value) for name, value in (case.path_parameters or {}).items()
                }
            headers = {"Authorization": f"Bearer {KEY}"}
            answer = case.call(base_url=url, headers=headers, timeout=20)
            if answer.status_code == 400 and "Got more than 8190 bytes" in answer.text:
                return  # an address that HTTP itself does not take reaches no route
            case.validate_response(answer, checks=CHECKS)
            asked[case.operation.label] = asked.get(case.operation.label, 0) + 1

        run()
    return asked


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("default")  # of the fuzzer's own libraries
@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
async def test_nothing_that_can_be_asked_breaks_the_server(house: House, mode: Any, caplog: Any) -> None:
    caplog.set_level(logging.ERROR, "omni.rest")
    await house.post("/v1/agents", {**SUPPORT, "channels": [SMS_LINE]})
    conversation = await house.conversation()
    message = (await house.get(f"/v1/conversations/{conversation['id']}/messages"))["data"][0]
    webhook = await house.post("/v1/webhooks", {"url": "https://127.0.0.1:9/hook"})
    await house.post("/v1/sip-trunks", {"name": "office", "allow": ["192.0.2.0/24"], "inbound_username": "door"})
    names = {
        "agent_id": "support-agent",
        "call_id": conversation["call_id"],
        "channel_id": "sms:+12025550142",
        "contact_id": conversation["contact"]["id"],
        "conversation_id": conversation["id"],
        "message_id": message["id"],
        "part": "0",
        "trunk_id": "office",
        "webhook_id": webhook["id"],
    }
    schema = schemathesis.openapi.from_dict(await house.get(PATH))
    asked = await asyncio.to_thread(fuzz, schema, house.shop.url, names, mode)
    assert len(asked) >= 30
    assert [record.getMessage() for record in caplog.records if record.name == "omni.rest"] == []
    assert (await house.ask("GET", "/v1/agents/echo")).status == 200

"""What developers ask of their webhooks: to register, to try, to look, to send again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from omni.model.webhook import WebhookEndpoint
from omni.outgoing.errors import AddressRefusedError
from omni.outgoing.http import OutgoingHttp
from omni.store.webhooks import WebhookFilter
from sessions.brains.webhook.record import TurnRecord
from sessions.webhooks.courier import Courier
from sessions.webhooks.service import NotRepeatableError, UnknownEventError
from sessions.webhooks.turns import TurnList
from tests.webhooks.conftest import Stage
from tests.webhooks.receivers import Receiver
from tests.workers.conftest import START, until


def wanted(receiver: Receiver, **more: Any) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate({"id": "", "url": receiver.url, "secret": "", **more})


def record(**more: Any) -> TurnRecord:
    return TurnRecord(
        **{
            "id": "whd", "org": "default", "agent": "echo", "endpoint": None, "call": "wa-1", "turn": 1,
            "transport": "whatsapp", "message": "m1", "body": "{}", "at": START, "ms": 5, "status": 200, "error": None,
            "was_cut": False, "reply": "{}", "notes": (),
            **more,
        }
    )  # fmt: skip


async def test_a_registered_endpoint_has_an_id_a_secret_and_hears_from_now_on(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    endpoint = await service.create(wanted(receiver))
    assert endpoint.id.startswith("wh_")
    assert endpoint.secret.get_secret_value().startswith("whsec_")
    assert endpoint.created_at == stage.now()
    assert stage.book.hears("default", "echo")
    assert not stage.book.hears("rival", "echo")
    assert await service.get("default", endpoint.id) == endpoint
    assert await service.get("rival", endpoint.id) is None
    assert await service.list("default") == [endpoint]
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.finished()
    assert receiver.heard[0].is_signed_with(endpoint.secret.get_secret_value())


async def test_agentphones_endpoint_of_a_scope_is_replaced_with_a_new_secret(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    first = await service.create(wanted(receiver, dialect="agentphone"))
    second = await service.create(wanted(receiver, dialect="agentphone", context_limit=3))
    assert (second.id, second.context_limit) == (first.id, 3)
    assert second.secret != first.secret
    of_agent = await service.create(wanted(receiver, dialect="agentphone", agent="echo"))
    assert of_agent.id != first.id
    assert await service.of_scope("default", "echo") == of_agent
    assert await service.of_scope("default", None) == second
    assert await service.of_scope("default", "other") is None


async def test_a_new_secret_signs_from_the_next_attempt_on(stage: Stage) -> None:
    receiver, service = await stage.receiver(always=500), stage.service()
    endpoint = await service.create(wanted(receiver, events=("message.received",)))
    await stage.work()
    await stage.say("wa-1", "t0")
    await until(lambda: receiver.heard)
    changed = await service.rotate_secret("default", endpoint.id)
    assert changed is not None
    assert await service.rotate_secret("rival", endpoint.id) is None
    await stage.passes(lambda: len(receiver.heard) == 2)
    assert [heard.is_signed_with(endpoint.secret.get_secret_value()) for heard in receiver.heard] == [True, False]
    assert receiver.heard[1].is_signed_with(changed.secret.get_secret_value())


@pytest.mark.parametrize("dialect", ["omni", "agentphone"])
async def test_a_test_is_one_request_that_says_so_and_is_listed(stage: Stage, dialect: str) -> None:
    receiver, service = await stage.receiver(), stage.service()
    receiver.answers.append(500)
    endpoint = await service.create(wanted(receiver, dialect=dialect))
    failed = await service.test(endpoint)
    passed = await service.test(endpoint, {"message": "hi", "from": "+15550001", "channel": "whatsapp"})
    assert (failed.state, passed.state) == ("failed", "success")
    assert failed.last is not None
    assert (failed.last.status, failed.last.error) == (500, "answered 500")
    assert receiver.heard[1].json["test"] is True
    assert receiver.heard[1].json["data"]["message"] == "hi"
    assert all(heard.is_signed_with(endpoint.secret.get_secret_value()) for heard in receiver.heard)
    page = await service.deliveries(WebhookFilter("default", endpoint=endpoint.id))
    assert {each.id for each in page.items} == {failed.id, passed.id}
    tallies = await service.stats(WebhookFilter("default"))
    assert {(tally.state, tally.number) for tally in tallies} == {("failed", 1), ("success", 1)}
    with pytest.raises(NotRepeatableError):
        await service.replay("default", failed.id)
    await stage.work()
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + 900)
    assert len(receiver.heard) == 2  # never tried again


async def test_a_turn_that_was_asked_for_is_listed_and_never_repeated(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    endpoint = await service.create(wanted(receiver, dialect="agentphone"))
    turns = TurnList(stage.store, stage.book)
    turns.start()
    for id_, more in (
        ("whd_1", {}), ("whd_2", {"status": None, "error": "timeout"}), ("whd_3", {"was_cut": True, "status": None}),
        ("whd_4", {"endpoint": None}),
    ):  # fmt: skip
        turns.note(record(**{"id": id_, "endpoint": endpoint.id, **more}))
    listed = WebhookFilter("default", endpoint=endpoint.id, dialect="agentphone")

    async def are_listed() -> bool:
        return (await service.deliveries(listed)).total == 3

    await until(are_listed)
    turns.note(record(id="whd_5", endpoint=endpoint.id))
    await turns.stop()  # what waits is written
    page = await service.deliveries(listed)
    assert {(each.id, each.state, each.last.error) for each in page.items if each.last is not None} == {
        ("whd_1", "success", None),
        ("whd_2", "failed", "timeout"),
        ("whd_3", "failed", "cut: the person went on, or somebody took over"),
        ("whd_5", "success", None),
    }
    with pytest.raises(NotRepeatableError):
        await service.replay("default", "whd_2")


async def test_a_turn_that_is_being_listed_while_the_server_stops_is_not_lost(stage: Stage) -> None:
    for n in range(12):
        turns = TurnList(stage.store, stage.book)
        turns.start()
        turns.note(record(id=f"whd_{n}", endpoint="wh_1"))
        for _ in range(n):
            await asyncio.sleep(0)
        await turns.stop()
    page = await stage.service().deliveries(WebhookFilter("default", endpoint="wh_1"))
    assert {each.id for each in page.items} == {f"whd_{n}" for n in range(12)}


async def test_a_delivery_is_sent_again_under_its_id(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    receiver.answers.append(404)
    endpoint = await service.create(wanted(receiver, events=("message.received",)))
    await stage.work()
    await stage.say("wa-1", "t0")
    (lost,) = await stage.finished()
    assert lost.state == "failed"
    assert await service.replay("rival", lost.id) is None
    assert await service.replay("default", "whd_none") is None
    again = await service.replay("default", lost.id)
    assert again is not None
    assert again.state == "pending"
    await until(lambda: len(receiver.heard) == 2)
    (done,) = await stage.finished()
    assert (done.state, done.attempt_count, [a.status for a in done.attempts]) == ("success", 2, [404, 200])
    assert {heard.id for heard in receiver.heard} == {lost.id}
    await service.remove("default", endpoint.id)
    assert await service.replay("default", lost.id) is None


async def test_private_addresses_are_refused_when_registered_and_when_asked(stage: Stage) -> None:
    receiver = await stage.receiver()
    strict = stage.service(allow_private=False)
    for url in (receiver.url, "https://127.0.0.1/x", "https://169.254.169.254/", "http://example.com/", "ftp://a.b/"):
        with pytest.raises(AddressRefusedError):
            await strict.create(wanted(receiver).model_copy(update={"url": url}))
    with pytest.raises(AddressRefusedError):
        await stage.service().create(wanted(receiver).model_copy(update={"url": "http://169.254.169.254/"}))
    await stage.listens(receiver, url=f"https://localhost:{receiver.port}/hook", events=("message.received",))
    http = OutgoingHttp(allow_private=False)
    await stage.work(courier=Courier(http, stage.now))
    await stage.say("wa-1", "t0")
    (refused,) = await stage.finished()
    await http.close()
    assert (refused.state, refused.attempt_count) == ("failed", 1)
    assert refused.last is not None
    assert "OMNI_ALLOW_PRIVATE_WEBHOOKS" in str(refused.last.error)
    assert receiver.heard == []


async def test_an_event_that_there_is_not_is_refused_by_name(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    for dialect, event in (("omni", "agent.message"), ("agentphone", "call.started"), ("omni", "")):
        with pytest.raises(UnknownEventError, match="there are"):
            await service.create(wanted(receiver, dialect=dialect, events=(event,)))
    kept = await service.create(wanted(receiver))
    with pytest.raises(UnknownEventError):
        await service.change(kept.model_copy(update={"events": ("nonsense",)}))
    assert (await service.change(kept.model_copy(update={"description": "d"}))).description == "d"


def test_a_secret_is_not_shown_unless_it_is_asked_for() -> None:
    endpoint = WebhookEndpoint(id="wh", url="https://a.b", secret=SecretStr("whsec_hidden"), created_at=START)
    assert "hidden" not in repr(endpoint) + endpoint.model_dump_json()


async def test_the_documented_verifier_believes_us_and_nobody_else(stage: Stage) -> None:
    receiver, service = await stage.receiver(), stage.service()
    service._courier = Courier(stage.http)  # the documented one looks at the time of day
    endpoint = await service.create(wanted(receiver))
    await service.test(endpoint)
    page = Path(__file__).parents[2].joinpath("docs/webhooks.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    scope: dict[str, Any] = {}
    exec(found[1], scope)
    (heard,) = receiver.heard
    secret = endpoint.secret.get_secret_value()
    scope["verify"](heard.body, heard.headers, secret)
    old = {**heard.headers, "Omni-Timestamp": "1700000000"}
    for body, headers, key in (
        (heard.body + b" ", heard.headers, secret), (heard.body, heard.headers, "whsec_x"), (heard.body, old, secret),
    ):  # fmt: skip
        with pytest.raises(PermissionError):
            scope["verify"](body, headers, key)

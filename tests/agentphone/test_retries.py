"""A developer's server that fails is told again, at the documented gaps, by a clock that a test may set."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from agentphone import construct_event
from agentphone.models import WebhookDelivery

from omni.gateway.agentphone.webhooks import shown_delivery
from omni.model.webhook import AGENTPHONE_GAPS
from tests.agentphone.rows import row
from tests.webhooks.conftest import SECRET, Stage, stage  # noqa: F401 - a fixture


@row(26)
async def test_a_server_that_fails_twice_is_told_a_third_time_signed_anew(stage: Stage) -> None:  # noqa: F811
    receiver = await stage.receiver(answers=deque([500, 503]))
    await stage.listens(receiver, dialect="agentphone")
    await stage.work()
    await stage.say("wa-1", "hello")
    await stage.passes(lambda: len(receiver.heard) == 3, step=1.0, while_busy=True)
    [delivery] = await stage.finished()
    shown = WebhookDelivery.from_dict(shown_delivery(delivery))
    assert (shown.status, shown.attempt_count, shown.http_status, shown.event_type) == (
        "success", 3, 200, "agent.message",
    )  # fmt: skip
    header = [heard.headers for heard in receiver.heard]
    assert {each["X-Webhook-ID"] for each in header} == {delivery.id}
    assert len({each["X-Webhook-Signature"] for each in header}) == 3
    times = [int(each["X-Webhook-Timestamp"]) for each in header]
    for (earlier, later), gap in zip(pairwise(times), AGENTPHONE_GAPS, strict=False):
        assert gap <= later - earlier <= gap + 5
    for heard, each in zip(receiver.heard, header, strict=True):
        event = construct_event(
            heard.body, each["X-Webhook-Signature"], SECRET, each["X-Webhook-Timestamp"], tolerance=None
        )
        assert event.data.message == "hello"

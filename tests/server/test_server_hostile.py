"""Signed but odd: whatever the webhook carries, the server stays up, stays small and answers the next good message."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.simulator.webhooks import sign
from tests.server.conftest import OpenShop
from tests.server.shop import ROOT, SECRETS, Shop, agent_of, until

FIXTURES = ROOT / "tests" / "whatsapp" / "fixtures"
HOSTILE = sorted((FIXTURES / "hostile").iterdir())
NUMBERS = ("204917735580163", "204917735580288", "204917735589044")
MEGABYTE = 1024 * 1024


def resident() -> int:
    """Bytes of this process in memory."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def bodies() -> Iterator[bytes]:
    for path in HOSTILE:
        if path.is_file():
            yield path.read_bytes()


async def replay(shop: Shop) -> dict[int, int]:
    """Post every hostile body, correctly signed; how often each status was answered."""
    answers: dict[int, int] = {}
    for body in bodies():
        headers = {"X-Hub-Signature-256": sign(body, SECRETS["app_secret"]), "Content-Type": "application/json"}
        async with shop.http.post(f"{shop.url}/whatsapp/webhook", data=io.BytesIO(body), headers=headers) as answer:
            await answer.read()
            answers[answer.status] = answers.get(answer.status, 0) + 1
    return answers


async def is_idle(shop: Shop) -> bool:
    """Nothing waits any more but what is put off (a retry of a download that fails)."""
    for partition in range(shop.settings.partitions):
        for lane in ("inbound", "outbound"):
            depth = await shop.engines.bus.depth(f"{lane}.{partition}")
            if depth.ready or depth.taken:
                return False
    return True


def several_numbers() -> Any:
    agent = agent_of(media_wait_ms=0)
    lines = [
        {"kind": "whatsapp", "phone_number_id": number, **SECRETS, "pair_interval": 0, "rate": 1000}
        for number in (agent.channels[0].id.partition(":")[2], *NUMBERS)
    ]
    return type(agent).model_validate({**agent.model_dump(exclude={"channels"}), "channels": lines})


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_hostile_webhooks_three_times_over_leave_a_small_and_well_server(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, several_numbers(), simulator={"other_phone_number_ids": NUMBERS})
    assert len(HOSTILE) > 50
    sizes: list[int] = []
    for round_ in range(3):
        answers = await replay(shop)
        assert set(answers) <= {200, 400, 413}, answers
        assert answers[200] > 100
        shop.say(f"good day {round_}")
        assert f"You said: good day {round_}" in await shop.answers(round_ + 1)
        await until(lambda: is_idle(shop), 40)
        gc.collect()
        sizes.append(resident())
    assert sizes[2] - sizes[1] < 48 * MEGABYTE, sizes
    assert (await shop.get("/health"))[0] == 200
    assert not [letter for letter in await shop.engines.bus.dead_letters() if "Error" in letter.error]


@pytest.mark.parametrize("kind", ["wrong", "missing"])
async def test_ten_thousand_unsigned_bytes_cost_nothing(
    open_shop: OpenShop, embedded: dict[str, Any], kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(embedded)
    for _ in range(50):
        headers = {"X-Hub-Signature-256": "sha256=" + "0" * 64} if kind == "wrong" else {}
        async with shop.http.post(f"{shop.url}/whatsapp/webhook", data=b"x" * 10_000, headers=headers) as answer:
            assert answer.status == (403 if kind == "wrong" else 401)
    assert caplog.text.count("refused a request") == 1
    assert not await shop.calls()


async def test_a_batch_with_one_bad_item_acts_on_the_good_ones(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded, several_numbers(), simulator={"other_phone_number_ids": NUMBERS})
    body = (FIXTURES / "hostile" / "good_bad_good.json").read_bytes()
    for number in NUMBERS:
        for who in ("12025550171", "447700900123", "5215555501234"):
            shop.simulator.people.heard(number, who, shop.simulator.now())
    shop.simulator.webhooks.post_raw(body)
    await shop.simulator.webhooks.idle()

    async def are_there() -> bool:
        entries = [e for call in await shop.calls() for e in await shop.engines.store.entries(call.id)]
        return sum(entry.fact.type == "user.message" for entry in entries) >= 2

    await until(are_there)

"""What `omni doctor` says of an SMS number."""

from __future__ import annotations

from omni.cli.checks.base import FAIL, OK, WARN
from omni.cli.checks.sms import check_sms
from tests.sms.conftest import OpenDesk
from tests.sms.desk import NUMBER, TOKEN, agent_of


async def test_the_doctor_tries_the_account_and_the_way_in(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    reached = desk.settings.model_copy(update={"public_url": desk.server.url})
    findings = await check_sms(reached, desk.settings.agents)
    assert [(each.level, each.about) for each in findings] == [(OK, "sms"), (WARN, "sms"), (OK, "sms")]
    assert f"Sunrise Café ({NUMBER})" in findings[0].text
    assert await desk.calls() == []  # the form that was tried is nobody's message


async def test_the_doctor_names_what_is_wrong(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    reached = desk.settings.model_copy(update={"public_url": desk.server.url})
    wrong = agent_of(channel={"auth_token": "another-token"})
    account, _, way_in = await check_sms(reached, [wrong])
    assert (account.level, way_in.level) == (FAIL, FAIL)
    assert "auth token" in account.text
    assert "refuses a valid signature" in way_in.text
    assert all(TOKEN not in each.text and "another-token" not in each.text for each in (account, way_in))
    lost = desk.settings.model_copy(update={"public_url": "http://127.0.0.1:9"})
    assert "cannot be reached" in (await check_sms(lost, desk.settings.agents))[-1].text
    assert await check_sms(reached, []) == []

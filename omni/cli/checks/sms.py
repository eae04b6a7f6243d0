"""SMS numbers: the account behind each, and the way in."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from channels.base import RefusedError
from channels.sms.adapter import API_URL, SmsAdapter
from channels.sms.links import Links
from channels.sms.webhook import PATH
from channels.twilio import package
from channels.twilio.door import TWIML
from channels.twilio.signature import HEADER
from omni.access.seal import Sealer
from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.cli.checks.whatsapp import NoBlobs
from omni.model.agent import Agent
from omni.model.channel import SmsChannel
from omni.settings import Settings


async def check_sms(settings: Settings, agents: Sequence[Agent]) -> list[Finding]:
    """Each account, by one harmless authenticated request; and our own address, by a signed form that says nothing."""
    lines = [(agent, each) for agent in agents for each in agent.channels if isinstance(each, SmsChannel)]
    if not lines:
        return []
    if not package.is_installed():
        return [Finding(FAIL, "sms", package.MISSING)]
    findings: list[Finding] = []
    nowhere = Links(Sealer("a probe seals nothing"), lambda: None)
    adapter = SmsAdapter(NoBlobs(), nowhere, lambda: None, api_url=settings.twilio_api_url, timeout=10)
    await adapter.open()
    try:
        for agent, channel in lines:
            name = f"{channel.id} of agent {agent.slug!r}"
            try:
                findings.append(Finding(OK, "sms", f"{name}: {await adapter.probe(channel)}"))
            except RefusedError as refused:
                findings.append(Finding(FAIL, "sms", f"{name}: {refused.reason}"))
    finally:
        await adapter.close()
    if settings.twilio_api_url != API_URL:
        findings.append(Finding(WARN, "sms", "OMNI_TWILIO_API_URL does not point to Twilio: nobody real is reached"))
    if settings.public_url is None:
        findings.append(
            Finding(FAIL, "sms", f"set OMNI_PUBLIC_URL to the https address at which Twilio reaches {PATH}")
        )
        return findings
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        for _, channel in lines:
            findings.append(await _way_in(session, f"{settings.public_url}{PATH}", channel))
    return findings


async def _way_in(session: aiohttp.ClientSession, url: str, channel: SmsChannel) -> Finding:
    from twilio.request_validator import RequestValidator

    form = {
        "AccountSid": channel.account_sid,
        "To": channel.number or "",
        "MessagingServiceSid": channel.messaging_service_sid or "",
    }
    signature = RequestValidator(channel.auth_token.get_secret_value()).compute_signature(url, form)
    name = f"{url} for {channel.id}"
    try:
        async with session.post(url, data=form, headers={HEADER: signature}, allow_redirects=False) as answer:
            body = await answer.content.read(1024)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(FAIL, "sms", f"{name} cannot be reached ({type(error).__name__}); check server, proxy and DNS")
    if answer.status == 200 and body == TWIML:
        return Finding(OK, "sms", f"{name} takes Twilio's signature")
    if answer.status == 403:
        return Finding(FAIL, "sms", f"{name} refuses a valid signature; restart the server with these settings")
    return Finding(FAIL, "sms", f"{name} answered {answer.status}; the proxy must pass {PATH} on unchanged")

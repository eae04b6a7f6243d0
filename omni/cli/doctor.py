"""`omni doctor`: one line for everything that has to be right, with the mend for what is not."""

from __future__ import annotations

import asyncio
from typing import Final

import click

from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.cli.checks.engines import check_engines
from omni.cli.checks.host import check_clock, check_disk, check_file
from omni.cli.checks.setup import check_access, check_agents, check_settings
from omni.cli.checks.sms import check_sms
from omni.cli.checks.whatsapp import check_numbers, check_webhook
from omni.cli.opening import Failure, config_option, on_loop, settings_for
from omni.cli.show import as_json
from omni.settings import Settings
from omni.telemetry.logs import one_line, without_secrets

_COLOURS: Final = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@config_option
@click.option("--offline", is_flag=True, help="Ask nobody outside: no Graph API, no Twilio, no public address.")
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@on_loop
async def doctor(config: str | None, offline: bool, as_lines: bool) -> None:
    """Check settings, engines, disk, clock, WhatsApp and SMS numbers. Exit status 1 when something is broken.

    It writes and reads one record of its own in each engine and leaves nothing behind; it is safe beside a running
    server. Secrets are never shown.
    """
    try:
        findings = await examine(settings_for(config), offline=offline)
    except Failure as failure:
        findings = [Finding(FAIL, "settings", failure.message)]
    for finding in findings:
        _print(finding, as_lines=as_lines)
    broken = sum(finding.level == FAIL for finding in findings)
    if not as_lines:
        doubtful = sum(finding.level == WARN for finding in findings)
        click.echo(f"{broken} broken, {doubtful} to look at, {len(findings) - broken - doubtful} fine")
    if broken:
        raise SystemExit(1)


async def examine(settings: Settings, *, offline: bool = False) -> list[Finding]:
    """All findings, in the order in which one would mend them."""
    findings = check_settings(settings) + check_access(settings)
    findings += await asyncio.to_thread(check_disk, settings)
    engines, agents = await check_engines(settings)
    findings += engines
    findings += await asyncio.to_thread(check_file, settings)
    findings += check_agents(settings, agents)
    if not offline:
        findings += await check_clock(settings)
        findings += await check_numbers(settings, agents)
        findings += await check_webhook(settings, agents)
        findings += await check_sms(settings, agents)
    return findings


def _print(finding: Finding, *, as_lines: bool) -> None:
    text = one_line(without_secrets(finding.text), 500)
    if as_lines:
        click.echo(as_json({"level": finding.level, "about": finding.about, "text": text}))
    else:
        click.echo(f"{click.style(f'{finding.level:<4}', fg=_COLOURS[finding.level])}  {finding.about:<10}  {text}")

"""`omni simulate`: stand-ins for providers, each a process of its own that speaks the real protocol."""

from __future__ import annotations

import click

from channels.whatsapp.simulator import Rules, SimulatorSettings, SimulatorSettingsError, StatusPlan, WebhookPlan, run
from omni.cli.opening import Failure
from omni.cli.simulate_phone import phone
from omni.cli.simulate_twilio import twilio
from omni.telemetry import logs

_DEFAULTS = SimulatorSettings()


@click.group()
def simulate() -> None:
    """Stand-ins for providers, to develop and test against."""


simulate.add_command(twilio)
simulate.add_command(phone)


@simulate.command()
@click.option(
    "--webhook-url",
    default=_DEFAULTS.webhook_url,
    metavar="URL",
    help="Where webhooks go, such as http://127.0.0.1:8080/whatsapp/webhook; without it nowhere.",
)
@click.option("--host", default=_DEFAULTS.host, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=_DEFAULTS.port, show_default=True)
@click.option("--public-url", default="", metavar="URL", help="Its own address as the server under test reaches it.")
@click.option("--phone-number-id", default=_DEFAULTS.phone_number_id, show_default=True)
@click.option("--other-phone-number-id", "others", multiple=True, help="One more number; may be repeated.")
@click.option("--waba-id", default=_DEFAULTS.waba_id, show_default=True)
@click.option("--display-phone-number", default=_DEFAULTS.display_phone_number, show_default=True)
@click.option("--verified-name", default=_DEFAULTS.verified_name, show_default=True)
@click.option("--app-secret", default=_DEFAULTS.app_secret, show_default=True, envvar="OMNI_SIMULATE_APP_SECRET")
@click.option("--verify-token", default=_DEFAULTS.verify_token, show_default=True, envvar="OMNI_SIMULATE_VERIFY_TOKEN")
@click.option("--access-token", default=_DEFAULTS.access_token, show_default=True, envvar="OMNI_SIMULATE_ACCESS_TOKEN")
@click.option(
    "--graph-version",
    default=_DEFAULTS.graph_version,
    show_default=True,
    metavar="PATTERN",
    help="Versions that a Graph call may name.",
)
@click.option(
    "--statuses",
    type=click.Choice(["auto", "manual", "none"]),
    default="auto",
    show_default=True,
    help="Who reports sent, delivered and read: the stand-in by itself, the control API, nobody.",
)
@click.option("--sent-ms", type=click.IntRange(0, 600_000), default=StatusPlan().sent_ms, show_default=True)
@click.option("--delivered-ms", type=click.IntRange(0, 600_000), default=StatusPlan().delivered_ms, show_default=True)
@click.option(
    "--read-ms",
    type=click.IntRange(-1, 600_000),
    default=StatusPlan().read_ms,
    show_default=True,
    help="-1: the user hides read receipts.",
)
@click.option("--shuffle-statuses", is_flag=True, help="Report statuses out of order.")
@click.option(
    "--duplicate-webhooks",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="The chance that a webhook is posted twice.",
)
@click.option("--batch-max", type=click.IntRange(1, 1000), default=1, show_default=True, help="Updates in one POST.")
@click.option("--batch-ms", type=click.IntRange(0, 60_000), default=WebhookPlan().batch_ms, show_default=True)
@click.option(
    "--jitter-ms",
    type=click.IntRange(0, 60_000),
    default=0,
    show_default=True,
    help="Hold webhooks back by up to so long, which swaps their order.",
)
@click.option(
    "--webhook-concurrency", type=click.IntRange(1, 1000), default=_DEFAULTS.webhook_concurrency, show_default=True
)
@click.option("--rate-limits", is_flag=True, help="Refuse what the platform would: too fast for a number or a person.")
@click.option(
    "--numbers-per-second",
    type=click.FloatRange(min=0.1),
    default=Rules().numbers_per_second,
    show_default=True,
    help="Messages a second that one number may send.",
)
@click.option("--require-appsecret-proof", is_flag=True, help="Refuse calls without appsecret_proof.")
@click.option("--no-window", is_flag=True, help="Allow free-form messages at any time.")
@click.option(
    "--window-failure",
    type=click.Choice(["sync", "async"]),
    default="async",
    show_default=True,
    help="Refuse at once, or accept and report the failure, when the 24 hours are over.",
)
@click.option("--keep-sent", type=click.IntRange(min=0), default=_DEFAULTS.keep_sent, show_default=True)
@click.option("--keep-events", type=click.IntRange(min=0), default=_DEFAULTS.keep_events, show_default=True)
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True)
@click.option("--no-verify", is_flag=True, help="Do not make the webhook's handshake at start.")
def whatsapp(
    webhook_url: str,
    host: str,
    port: int,
    public_url: str,
    phone_number_id: str,
    others: tuple[str, ...],
    waba_id: str,
    display_phone_number: str,
    verified_name: str,
    app_secret: str,
    verify_token: str,
    access_token: str,
    graph_version: str,
    statuses: str,
    sent_ms: int,
    delivered_ms: int,
    read_ms: int,
    shuffle_statuses: bool,
    duplicate_webhooks: float,
    batch_max: int,
    batch_ms: int,
    jitter_ms: int,
    webhook_concurrency: int,
    rate_limits: bool,
    numbers_per_second: float,
    require_appsecret_proof: bool,
    no_window: bool,
    window_failure: str,
    keep_sent: int,
    keep_events: int,
    seed: int,
    no_verify: bool,
) -> None:
    """The WhatsApp Cloud API on this machine: a phone page at /, the Graph API, and a control API under /control/.

    People write there, and call: POST /control/calls, with real sound (docs/whatsapp-calls.md).

    Point a server at it with OMNI_WHATSAPP_GRAPH_URL=http://127.0.0.1:8090.
    """
    logs.configure()
    try:
        settings = SimulatorSettings(
            webhook_url=webhook_url, host=host, port=port, public_url=public_url, phone_number_id=phone_number_id,
            other_phone_number_ids=others, waba_id=waba_id, display_phone_number=display_phone_number,
            verified_name=verified_name, app_secret=app_secret, verify_token=verify_token,
            access_token=access_token, graph_version=graph_version, webhook_concurrency=webhook_concurrency,
            keep_sent=keep_sent, keep_events=keep_events, seed=seed,
            statuses=StatusPlan.model_validate({
                "mode": statuses, "sent_ms": sent_ms, "delivered_ms": delivered_ms,
                "read_ms": read_ms if read_ms >= 0 else None, "shuffle": shuffle_statuses,
            }),
            webhooks=WebhookPlan(
                duplicates=duplicate_webhooks, batch_max=batch_max, batch_ms=batch_ms, jitter_ms=jitter_ms
            ),
            rules=Rules.model_validate({
                "enforce_window": not no_window, "window_failure": window_failure, "rate_limits": rate_limits,
                "numbers_per_second": numbers_per_second, "require_appsecret_proof": require_appsecret_proof,
            }),
        )  # fmt: skip
        run(settings, verify=not no_verify)
    except SimulatorSettingsError as error:
        raise Failure(str(error)) from None

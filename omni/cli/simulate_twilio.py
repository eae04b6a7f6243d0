"""`omni simulate twilio`: messages and calls on this machine."""

from __future__ import annotations

import click

from channels.twilio.simulator import SimulatorSettings, SimulatorSettingsError, StatusPlan, WebhookPlan, run
from omni.cli.opening import Failure
from omni.telemetry import logs

_DEFAULTS = SimulatorSettings()


@click.command()
@click.option(
    "--webhook-url",
    default=_DEFAULTS.webhook_url,
    metavar="URL",
    help="Where messages go, such as http://127.0.0.1:8080/twilio/sms; without it nowhere.",
)
@click.option(
    "--voice-url",
    default=_DEFAULTS.voice_url,
    metavar="URL",
    help="What is asked about calls, such as http://127.0.0.1:8080/twilio/voice.",
)
@click.option("--voice-status-url", default="", metavar="URL", help="What is told when an incoming call is over.")
@click.option("--host", default=_DEFAULTS.host, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=_DEFAULTS.port, show_default=True)
@click.option("--public-url", default="", metavar="URL", help="Its own address as the server under test reaches it.")
@click.option("--number", default=_DEFAULTS.number, show_default=True, help="The business number, E.164.")
@click.option("--account-sid", default=_DEFAULTS.account_sid, show_default=True)
@click.option("--messaging-service-sid", default=_DEFAULTS.messaging_service_sid, show_default=True)
@click.option("--auth-token", default=_DEFAULTS.auth_token, show_default=True, envvar="OMNI_SIMULATE_AUTH_TOKEN")
@click.option(
    "--signing-key", default="", envvar="OMNI_SIMULATE_SIGNING_KEY", help="Sign with this key, HMAC-SHA256, instead."
)
@click.option(
    "--statuses",
    type=click.Choice(["auto", "manual", "none"]),
    default="auto",
    show_default=True,
    help="Who reports queued, sent and delivered: the stand-in by itself, the control API, nobody.",
)
@click.option("--shuffle-statuses", is_flag=True, help="Report statuses out of order.")
@click.option(
    "--duplicate-webhooks",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="The chance that a message is posted twice.",
)
@click.option(
    "--jitter-ms",
    type=click.IntRange(0, 60_000),
    default=0,
    show_default=True,
    help="Hold webhooks back by up to so long, which swaps their order.",
)
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True)
def twilio(
    webhook_url: str,
    voice_url: str,
    voice_status_url: str,
    host: str,
    port: int,
    public_url: str,
    number: str,
    account_sid: str,
    messaging_service_sid: str,
    auth_token: str,
    signing_key: str,
    statuses: str,
    shuffle_statuses: bool,
    duplicate_webhooks: float,
    jitter_ms: int,
    seed: int,
) -> None:
    """Twilio on this machine: a phone page for messages at /, the REST API, media streams, and a control API under
    /control/ (POST /control/calls makes somebody call).

    Point a server at it with OMNI_TWILIO_API_URL=http://127.0.0.1:8091.
    """
    logs.configure()
    try:
        settings = SimulatorSettings(
            webhook_url=webhook_url, voice_url=voice_url, voice_status_url=voice_status_url,
            host=host, port=port, public_url=public_url, number=number,
            account_sid=account_sid, messaging_service_sid=messaging_service_sid, auth_token=auth_token,
            signing_key=signing_key, seed=seed,
            statuses=StatusPlan.model_validate({"mode": statuses, "shuffle": shuffle_statuses}),
            webhooks=WebhookPlan(duplicates=duplicate_webhooks, jitter_ms=jitter_ms),
        )  # fmt: skip
        run(settings)
    except SimulatorSettingsError as error:
        raise Failure(str(error)) from None

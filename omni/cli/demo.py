"""`omni demo`: a sample bot and a pretend phone in one process, with nothing to set up."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import socket
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import click
from aiohttp import web
from pydantic import SecretStr

from channels.whatsapp.simulator import Simulator, SimulatorSettings, create_app
from omni.app.server import Server
from omni.app.voice import is_installed
from omni.cli.address import reachable
from omni.cli.opening import SENTENCES, Failure
from omni.cli.operators import own_link
from omni.cli.serve import run
from omni.settings import Settings, SettingsError, load
from omni.telemetry import logs

DATABASE: Final = "omni.db"
SECRETS: Final = "secrets.json"
SETTINGS: Final = "omni.yaml"
_OURS: Final = (
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    f"{DATABASE}.lock",
    "omni-blobs",
    SECRETS,
    SETTINGS,
)
"""All that a demo leaves in its folder. `--fresh` removes these and nothing else."""

PREFIX: Final = "/demo"
SECRET_NAMES: Final = ("access_token", "app_secret", "verify_token", "api_key")


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("omni-data"), show_default=True,
              help="Folder for the database, the files and the generated secrets.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, envvar="OMNI_PORT",
              help="Listen on this port (OMNI_PORT).")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget the demo's earlier conversations and secrets first.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning",
              show_default=True, help="How much to tell on stderr.")  # fmt: skip
def demo(data: Path, host: str, port: int, fresh: bool, log_level: str) -> None:
    """Start a sample bot and a phone to try it, on this machine alone.

    What is typed on the phone page goes to the bot as signed WhatsApp webhooks over HTTP, and its answers come back
    through a local Graph API. With OPENAI_API_KEY or OMNI_LLM_BASE_URL set, a model answers; else a script does.
    """
    _require_free(host, port)
    _require_alone(data / DATABASE)
    base = f"http://{reachable(host)}:{port}"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fresh:
            _forget(data)
        kept = _secrets(data / SECRETS)
        pretend = _simulator_settings(kept, base)
        settings = _settings(data, host, port, base, pretend, kept["api_key"])
    except OSError as error:
        raise Failure(f"the folder {data} cannot be used ({error.strerror}); name another with --data") from None
    except SettingsError as error:
        raise Failure(str(error)) from None
    logs.configure("pretty", log_level)
    inbox = _inbox_link(settings)

    def mount(app: web.Application) -> None:
        phone = create_app(Simulator(pretend))
        phone.router.add_post("/tools/order-status", order_status)
        app.add_subapp(PREFIX, phone)

    run(
        settings,
        lambda: Server(settings, mount=mount),
        wait=0,
        started=lambda _: click.echo(_welcome(settings, data, base, inbox)),
    )
    click.echo("\nStopped. Everything said is kept; `omni demo --fresh` begins again.")


async def order_status(request: web.Request) -> web.Response:
    """The sample tool, as a shop's own server would offer it: `{"arguments": {"order"}}` to where the order is."""
    try:
        body = await request.json()
        order = str(body["arguments"]["order"])[:20]
    except (ValueError, KeyError, TypeError):
        return web.json_response({"error": 'send {"arguments": {"order": "1042"}}'}, status=400)
    status, detail = (
        ("on its way to you", "The courier is about ten minutes away."),
        ("ready", "It waits for you at the counter."),
        ("in the oven", "Give it another quarter of an hour."),
    )[sum(map(ord, order)) % 3]
    return web.json_response({"order": order, "status": status, "detail": detail})


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            other = port + 1 if port < 65535 else 8081
            raise Failure(
                f"cannot listen on {host}:{port} ({error.strerror}); is another demo running? "
                f"Stop it, or choose another port: omni demo --port {other}, or OMNI_PORT={other} make run"
            ) from None


def _require_alone(database: Path) -> None:
    lock = database.with_name(f"{database.name}.lock")
    try:
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise Failure(
            f"another demo is running in {database.parent}/; stop it, or give this one a folder with --data"
        ) from None


def _forget(data: Path) -> None:
    for name in _OURS:
        path = data / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _secrets(path: Path) -> dict[str, str]:
    """The demo's own secrets: made once, readable by their owner only."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = None
    known = {name: kept.get(name) for name in SECRET_NAMES} if isinstance(kept, dict) else {}
    made = {name: _or_new(known.get(name)) for name in SECRET_NAMES}
    if made != known:
        _write_private(path, json.dumps(made, indent=1) + "\n")
    return made


def _or_new(kept: object) -> str:
    return kept if isinstance(kept, str) and kept else secrets.token_hex(24)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # an older file may have wider permissions
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _simulator_settings(kept: dict[str, str], base: str) -> SimulatorSettings:
    return SimulatorSettings(
        webhook_url=f"{base}/whatsapp/webhook",
        public_url=base,  # its addresses carry the prefix by themselves
        access_token=kept["access_token"],
        app_secret=kept["app_secret"],
        verify_token=kept["verify_token"],
    )


def _settings(data: Path, host: str, port: int, base: str, pretend: SimulatorSettings, api_key: str) -> Settings:
    """The demo's settings, written into its folder for the other commands. No variable redirects the demo."""
    store_url = f"sqlite:///{(data / DATABASE).resolve()}"
    graph_url = f"{base}{PREFIX}"
    text = Template(
        files("omni.cli").joinpath("demo.yaml").read_text(encoding="utf-8")
    ).safe_substitute(  # "$" also ends expressions
        store_url=json.dumps(store_url),
        graph_url=graph_url,
        tool_url=f"{graph_url}/tools/order-status",
        host=json.dumps(host),
        port=port,
        api_key=json.dumps(api_key),
        phone_number_id=pretend.phone_number_id,
        phone=pretend.display_phone_number,
        waba_id=pretend.waba_id,
        access_token=pretend.access_token,
        app_secret=pretend.app_secret,
        verify_token=pretend.verify_token,
        browser_calls="- kind: webrtc" if _can_be_called() else "",
    )
    path = data / SETTINGS
    _write_private(path, text)
    own = {"bus_url": "", "blob_url": "", "whatsapp_graph_url": graph_url, "api_key": SecretStr(api_key)}
    return load(path, host=host, port=port, store_url=store_url, **own)


def _can_be_called() -> bool:
    """By browser: what hears, what speaks and what connects is installed."""
    return is_installed() and importlib.util.find_spec("aiortc") is not None


def _inbox_link(settings: Settings) -> str:
    try:
        return asyncio.run(own_link(settings))
    except SENTENCES as error:
        raise Failure(str(error)) from None


def _welcome(settings: Settings, data: Path, base: str, inbox: str) -> str:
    answers = f"The model {settings.llm_model}" if settings.has_llm else "A script (set OPENAI_API_KEY for a model)"
    where = "" if data == Path("omni-data") else f" --config {data / SETTINGS}"
    addresses = (
        ("Phone", f"{base}{PREFIX}/", "write to the bot here"),
        *((("Call", f"{base}/call/sunrise", "speak with it here"),) if _can_be_called() else ()),
        ("Health", f"{base}/health", ""),
        ("Metrics", f"{base}/metrics", ""),
    )
    commands = (
        (f"omni calls tail{where}", "what is said, live"),
        *(() if where else (("omni chat sunrise", "write to the bot from there"),)),
        *(() if where or not is_installed() else (("omni mic sunrise", "speak with it from there"),)),
        (f'omni send last "It\'s me"{where}', "write yourself: the bot falls silent"),
        (f"omni resume last{where}", "give the conversation back to the bot"),
    )
    wide = max(len(command) for command, _ in commands)
    lines = [
        "",
        f"  omni is running. {answers} answers.",
        "",
        *(f"    {name:<8} {url:<36} {what}".rstrip() for name, url, what in addresses),
        "",
        "  Your inbox, signed in by this link once, within 15 minutes (another: omni operators reset you@localhost):",
        "",
        f"    {inbox}",
        "",
        "  In another terminal, in this folder (after `make run`: .venv/bin/omni):",
        "",
        *(f"    {command:<{wide}}   {what}" for command, what in commands),
        "",
        f"  Everything is kept in {data}/. Ctrl-C stops.",
        "",
    ]
    return "\n".join(lines)

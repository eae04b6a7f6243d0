"""nginx and Caddy as the examples configure them, in front of a server; where they are installed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.infra.parts import read
from tests.ports import free_port

BOT, VOICE = "bot.example.com", "voice.bot.example.com"


async def _asked(request: web.Request) -> web.StreamResponse:
    """Echoes a socket, or says what came."""
    if request.headers.get("Upgrade") != "websocket":
        body = await request.read()
        return web.json_response({"headers": dict(request.headers), "body": body.decode(), "path": request.path})
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _asked)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


def _nginx(folder: Path, upstream: int, port: int) -> list[str]:
    """As it is, but for TLS and the port: nobody here has a certificate of bot.example.com."""
    site = read("nginx/omni.conf").replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(
        "listen 80;", "listen unix:closed.sock;"
    )
    site = re.sub(r"(?m)^\s*ssl_.*$", "", site)
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        site = f"{kind}_temp_path {folder}/{kind};\n{site}"
    whole = f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{site}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, upstream: int, port: int) -> list[str]:
    """As it is, but for TLS, and names that only Docker knows."""
    whole = read("caddy/Caddyfile").replace("voice.{$OMNI_DOMAIN} {", f"http://{VOICE}:{port} {{")
    whole = whole.replace("{$OMNI_DOMAIN} {", f"http://{BOT}:{port} {{")
    whole = whole.replace("dynamic a gateway 8080", f"to 127.0.0.1:{upstream}")
    whole = whole.replace("voice:8080", f"127.0.0.1:{upstream}")
    version = subprocess.run(["caddy", "version"], capture_output=True, text=True).stdout
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < (2, 7):
        whole = re.sub(r"(?m)^\s*stream_close_delay .*$", "", whole)
    (folder / "Caddyfile").write_text(f"{{\nadmin off\n}}\n{whole}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@asynccontextmanager
async def _running(command: list[str], folder: Path, port: int) -> AsyncIterator[None]:
    env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = (folder / "log").open("w+")
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=env)
    try:
        async with ClientSession() as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/"):
                        break
                except ClientConnectionError:
                    if process.returncode is not None:
                        pytest.fail((folder / "log").read_text())
                    await asyncio.sleep(0.05)
        yield
    finally:
        log.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture(params=[_nginx, _caddy], ids=["nginx", "caddy"])
async def proxy(request: pytest.FixtureRequest, upstream: int, tmp_path: Path) -> AsyncIterator[str]:
    configure: Callable[[Path, int, int], list[str]] = request.param
    name = request.param.__name__.removeprefix("_")
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not here")
    port = free_port()
    async with _running(configure(tmp_path, upstream, port), tmp_path, port):
        yield f"http://127.0.0.1:{port}"


async def test_a_request_comes_as_it_was_sent_with_the_address_of_who_sent_it(proxy: str) -> None:
    body = '{"a":  "\\u00e4" }'
    forged = {"X-Forwarded-For": "198.51.100.1", "Host": BOT, "X-Hub-Signature-256": "sha256=0"}
    async with ClientSession() as http, http.post(f"{proxy}/whatsapp/webhook", data=body, headers=forged) as answer:
        told = await answer.json()
    assert told["body"] == body
    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert headers["x-forwarded-for"].split(",")[-1].strip() == "127.0.0.1"  # what OMNI_PROXIES=1 believes
    assert headers["x-forwarded-host"] == BOT
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-hub-signature-256"] == "sha256=0"


@pytest.mark.parametrize("path", ["/client", "/chat/ws", "/v1/inbox/live", "/twilio/media"])
async def test_sockets_pass(proxy: str, path: str) -> None:
    async with ClientSession() as http, http.ws_connect(f"{proxy}{path}", headers={"Host": BOT}) as socket:
        await socket.send_str("hello")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.TEXT, "hello")


async def test_metrics_are_not_shown_to_the_world(proxy: str) -> None:
    async with ClientSession() as http, http.get(f"{proxy}/metrics", headers={"Host": BOT}) as answer:
        assert answer.status == 404


async def test_voice_workers_are_reached_for_sound_only(proxy: str, request: pytest.FixtureRequest) -> None:
    if "nginx" in request.node.name:
        pytest.skip("the example of nginx is of one server")
    async with ClientSession() as http:
        for path, status in (("/twilio/media", 200), ("/twilio/media/AC1", 200), ("/metrics", 404), ("/v1", 404)):
            async with http.get(f"{proxy}{path}", headers={"Host": VOICE}) as answer:
                assert answer.status == status, path

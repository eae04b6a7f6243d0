"""The socket: in, kept alive, lost, made again, left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from omni import Omni
from omni.sdk import AuthenticationError, ConfigError, ConnectError, DisplacedError
from omni.sdk.agent import Agent
from omni.sdk.config import http_url
from omni.sdk.events import Event
from omni.sdk.timing import Timing, conflict_delay, reconnect_delay
from tests.sdk.scripted import QUICK, ScriptedServer, again, quicker, scripted_server, started

ROOT = Path(__file__).resolve().parents[2]


async def test_nothing_but_the_key_is_sent_before_connected(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    desk.add_channel("phone", "+34 911 222 333", language="es")
    starting = asyncio.create_task(omni.start())
    peer = await server.peer()
    assert await peer.expect("connect") == {"event": "connect", "api_key": "k_test"}
    await peer.send("ping")
    await peer.expect("pong")
    assert peer.names() == ["connect", "pong"]
    await peer.send("connected", org_id="org_1")
    await peer.expect("agent.create")
    assert peer.names()[-1] == "agent.create"
    await peer.send("agent.created", agent_id="desk")
    assert await peer.expect("channel.add") == {
        "event": "channel.add", "agent_id": "desk", "type": "phone", "ref": "+34 911 222 333", "language": "es",
    }  # fmt: skip
    await starting
    assert omni.org_id == "org_1"


async def test_a_refused_key_is_said_at_once(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    starting = asyncio.create_task(omni.start())
    peer = await server.peer()
    await peer.expect("connect")
    await peer.send("error", code="INVALID_KEY", error="unknown API key")
    await peer.close(1008, "unauthorised")
    with pytest.raises(AuthenticationError, match=r"unknown API key; pass a good one as api_key=… or set OMNI_API_KEY"):
        await starting


async def test_a_page_that_is_no_omni_server_is_said_at_once(omni: Omni, server: ScriptedServer) -> None:
    server.refuse_with = 404
    with pytest.raises(ConnectError, match=r"/client answers 404 to a WebSocket: is that an omni server\?"):
        await omni.start()


async def test_a_server_that_comes_later_is_waited_for(free_port: int) -> None:
    omni = Omni(f"http://127.0.0.1:{free_port}", "k", timing=QUICK)
    omni.agent("desk")
    starting = asyncio.create_task(omni.start())
    await asyncio.sleep(0)
    async with scripted_server(free_port) as server:
        await again(server, "desk")
        await starting
        await omni.close()


async def test_a_server_that_never_comes_is_an_error_after_the_timeout(free_port: int) -> None:
    omni = Omni(f"http://127.0.0.1:{free_port}", "k", timing=QUICK)
    with pytest.raises(ConnectError, match=r"cannot be reached within 0\.05 s: does the server run\?"):
        await omni.start(timeout=0.05)


async def test_a_server_that_lets_nobody_in_is_tried_again(desk: Agent, server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(connected=0.02))
    omni.agent("desk")
    starting = asyncio.create_task(omni.start())
    silent = await server.peer()
    await silent.expect("connect")
    await again(server, "desk")
    await starting
    await omni.close()


@pytest.mark.parametrize("how", ["close", "cut"])
async def test_a_lost_connection_is_made_again_with_all_that_was_declared(
    omni: Omni, desk: Agent, server: ScriptedServer, how: str
) -> None:
    desk.add_channel("webrtc")
    first = await started(omni, server)
    desk.configure(language="fr")
    desk.add_channel("phone", "+34911222333")
    desk.route_callers(["+34600111222"])
    await first.expect("dev.config")
    if how == "close":
        await first.close()
    else:
        first.cut()

    second = await server.peer()
    await second.let_in()
    assert (await second.expect("agent.create"))["language"] == "fr"
    desk.send({"event": "custom", "agent_id": "desk"})
    assert second.names() == ["connect", "agent.create"]  # the rest waits for the server's word
    await second.send("agent.created", agent_id="desk")
    await second.expect("custom")
    assert second.names()[2:] == ["channel.add", "channel.add", "dev.config", "custom"]


async def test_after_a_good_connection_the_pauses_are_short_again(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def pauses() -> list[float]:
        return [record.args[1] for record in caplog.records if record.args and "trying again" in record.msg]  # type: ignore[index, misc]

    omni = Omni(server.url, "k", timing=quicker(reconnect_first=0.01, reconnect_most=10))
    omni.agent("desk")
    server.refuse_with = 503
    starting = asyncio.create_task(omni.start())
    while len(pauses()) < 3:
        await asyncio.sleep(0.001)
    server.refuse_with = None
    peer = await again(server, "desk")
    await starting
    await peer.close()
    while omni.is_connected:
        await asyncio.sleep(0.001)
    *_, before, after = pauses()
    assert after < 0.02 < before
    await omni.close()


async def test_what_is_said_while_nobody_listens_is_said_afterwards(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    first = await started(omni, server)
    await first.close()
    while omni.is_connected:
        await asyncio.sleep(0)
    desk.send({"event": "one"})
    desk.send({"event": "two"})
    second = await again(server, "desk")
    await second.expect("one")
    await second.expect("two")


async def test_a_dead_server_is_noticed_by_its_silence(server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(ping=0.01, pong=0.02))
    omni.agent("desk")
    first = await started(omni, server)
    first.answers_pings = False
    second = await server.peer()
    second.answers_pings = True
    await second.register("desk")
    assert first.pings
    await omni.close()


async def test_a_live_server_is_pinged_and_kept(server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(ping=0.005, pong=1))
    omni.agent("desk")
    peer = await started(omni, server)
    while peer.pings < 3:
        await asyncio.sleep(0.005)
    assert omni.is_connected
    await omni.close()


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("Displaced: kicked", "somebody disconnected this program on purpose"),
        ("displaced by another", "another program has this one's agents"),
    ],
)
async def test_a_displaced_program_stays_away(
    omni: Omni, desk: Agent, server: ScriptedServer, reason: str, sentence: str
) -> None:
    peer = await started(omni, server)
    await peer.send("agent.displaced", agent_id="desk", reason="kicked")
    await peer.close(4001, reason)
    with pytest.raises(DisplacedError, match=sentence):
        await omni.wait()
    assert not omni.is_connected


async def test_leaving_says_goodbye_after_everything_is_written(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer = await started(omni, server)
    for _ in range(50):
        desk.send({"event": "last", "words": "x" * 200_000})  # more than fits into the network at once
    await omni.close()
    await peer.closed.wait()
    assert peer.names().count("last") == 50
    assert peer.close_code == 1000
    await omni.wait()


async def test_leaving_waits_for_handlers_that_run(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    @desk.on("channel.added")
    async def slow() -> None:
        begun.set()
        await asyncio.sleep(0.02)
        done.set()

    peer = await started(omni, server)
    await peer.send("channel.added", agent_id="desk", type="chat")
    await begun.wait()
    await omni.close()
    assert done.is_set()


async def test_what_comes_while_leaving_begins_nothing(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    handled: list[str] = []

    @desk.on("call.held")
    async def handle(event: Event) -> None:
        handled.append(event.call_id)
        begun.set()
        await may_end.wait()

    arrived = desk.stream()
    peer = await started(omni, server)
    await peer.send("call.held", agent_id="desk", call_id="chat-1")
    await begun.wait()
    leaving = asyncio.create_task(omni.close())
    await asyncio.sleep(0)
    await peer.send("call.held", agent_id="desk", call_id="chat-2")
    await peer.send("user.speaking", agent_id="desk", call_id="chat-2", text="hm")
    await anext(arrived)
    may_end.set()
    await leaving
    assert handled == ["chat-1"]


async def test_noise_on_the_socket_is_ignored(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    added: asyncio.Queue[str] = asyncio.Queue()
    desk.on("channel.added", lambda event: added.put_nowait(event.type))
    peer = await started(omni, server)
    for noise in ("no json", "[1]", '"text"', "{}", '{"event": 7}', '{"event": "never.heard.of"}', b"\x00\xff"):
        await peer.send_raw(noise)
    await peer.send("error", code="AGENT_CONFLICT", agent_id="desk", retry_after_s="soon")
    await peer.send("agent.created", agent_id="desk")
    await peer.send("turn.end", agent_id="nobody", call_id="chat-9", turn_id=1)
    await peer.send("turn.end", agent_id="desk", call_id="chat-9", turn_id="not a number")
    await peer.send("channel.added", agent_id="Desk", type="chat")
    assert await added.get() == "chat"


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 0), ("SIGINT", 0)])
async def test_run_ends_with_a_signal(server: ScriptedServer, name: str, status: int) -> None:
    program = f"from omni import Omni; omni = Omni({server.url!r}, 'k'); omni.agent('desk'); omni.run(); print('over')"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    peer = await again(server, "desk")
    process.send_signal(getattr(signal, name))
    out, err = await process.communicate()
    await peer.closed.wait()
    assert (process.returncode, out) == (status, b"over\n"), err.decode()
    assert peer.close_code == 1000


async def _run_refused(server: ScriptedServer, before: str = "", **variables: str) -> tuple[int | None, str]:
    """Status and stderr of a program whose agent is refused."""
    program = f"{before}\nfrom omni import Omni; omni = Omni({server.url!r}, 'k'); omni.agent('desk'); omni.run()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env={**os.environ, **variables}, stderr=asyncio.subprocess.PIPE
    )
    peer = await server.peer()
    await peer.let_in()
    await peer.expect("agent.create")
    await peer.send("error", code="REGISTRATION_ERROR", agent_id="desk", error="unknown voice 'x'")
    _, err = await process.communicate()
    return process.returncode, err.decode()


REFUSED = "the server refused the agent 'desk': unknown voice 'x'"


async def test_run_ends_with_a_sentence_that_says_what_to_do(server: ScriptedServer) -> None:
    status, err = await _run_refused(server)
    assert status == 1
    assert err.splitlines()[-1].startswith(f"omni: {REFUSED}")
    assert "Traceback" not in err


async def test_run_without_a_key_ends_with_a_sentence_alone() -> None:
    program = "from omni import Omni; Omni('http://127.0.0.1:9').run()"
    variables = {name: value for name, value in os.environ.items() if name != "OMNI_API_KEY"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=variables, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith("omni: there is no API key to show to http://127.0.0.1:9: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("before", "variables"),
    [("", {"OMNI_DEBUG": "1"}), ("import logging; logging.basicConfig(level=logging.DEBUG)", {})],
)
async def test_run_shows_where_it_failed_to_whoever_debugs(
    server: ScriptedServer, before: str, variables: dict[str, str]
) -> None:
    status, err = await _run_refused(server, before, **variables)
    assert status == 1
    assert "Traceback" in err
    assert f"RegistrationError: {REFUSED}" in err


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("ws://localhost:8080/", "http://localhost:8080"),
        ("wss://bots.example/prefix//", "https://bots.example/prefix"),
        ("wss://bots.example/client", "https://bots.example"),
        ("HTTPS://Bots.Example", "https://Bots.Example"),
    ],
)
def test_an_address_may_be_written_in_many_ways(given: str, url: str) -> None:
    assert http_url(given) == url


@pytest.mark.parametrize("given", ["localhost:8080", "ftp://x", "http://", "http://x?key=1", ""])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="looks like http://localhost:8080"):
        http_url(given)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="must not hold a password") as refused:
        http_url("http://me:hush@bots.example")
    assert "hush" not in str(refused.value)


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_URL", "https://bots.example")
    monkeypatch.setenv("OMNI_API_KEY", "k_env")
    omni = Omni()
    assert (omni.url, omni._api_key) == ("https://bots.example", "k_env")
    assert "k_env" not in repr(omni)


def test_pauses_between_attempts_grow_to_thirty_seconds() -> None:
    assert [reconnect_delay(n, 0, Timing()) for n in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert reconnect_delay(2, 1, Timing()) == 5
    assert reconnect_delay(10**6, 0, Timing()) == 30


def test_a_taken_name_is_asked_for_less_and_less_often() -> None:
    def delay(attempt: int, **known: object) -> float:
        return conflict_delay(attempt, 0.5, **{"retry_after": None, "holder_alive": False, "left": 90} | known)  # type: ignore[arg-type]

    assert [delay(n) for n in range(6)] == pytest.approx([5, 10, 20, 40, 60, 60])
    assert delay(0, retry_after=7) == 7
    assert delay(0, retry_after=700, left=1000) == 60
    assert delay(0, retry_after=700, left=1000, holder_alive=True) == 600
    assert delay(3, left=12) == 12  # the last time when the budget ends
    assert delay(3, left=0) == 0


async def test_a_missing_key_is_said_before_anything_is_tried() -> None:
    with pytest.raises(AuthenticationError, match=r"no API key to show to http://localhost:8080: pass api_key=…"):
        await Omni().start()

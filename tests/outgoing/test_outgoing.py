"""What requests to other people's addresses reach, and what they never reach."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from omni.outgoing.addresses import Gate, RefusedAddressError, standing, webhook_url
from omni.outgoing.errors import (
    AddressRefusedError,
    BrokenOffError,
    OutgoingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from omni.outgoing.http import OutgoingHttp


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("8.8.8.8", "public"),
        ("2a03:2880:f11c:8083:face:b00c:0:25de", "public"),
        ("::ffff:8.8.8.8", "public"),
        ("64:ff9b::808:808", "public"),
        ("127.0.0.1", "private"),
        ("127.255.255.254", "private"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "private"),
        ("198.18.0.1", "private"),
        ("::1", "private"),
        ("fd12::1", "private"),
        ("::ffff:127.0.0.1", "private"),
        ("::ffff:7f00:1", "private"),
        ("64:ff9b::7f00:1", "private"),
        ("2002:7f00:1::", "private"),
        ("0.0.0.0", "never"),
        ("0.1.2.3", "never"),
        ("::", "never"),
        ("169.254.169.254", "never"),
        ("169.254.0.1", "never"),
        ("::ffff:169.254.169.254", "never"),
        ("64:ff9b::a9fe:a9fe", "never"),
        ("2002:a9fe:a9fe::", "never"),
        ("64:ff9b:1::a9fe:a9fe", "never"),
        ("fe80::1", "never"),
        ("fe80::1%eth0", "never"),
        ("fd00:ec2::254", "never"),
        ("100.100.100.200", "never"),
        ("168.63.129.16", "never"),
        ("224.0.0.1", "never"),
        ("ff02::1", "never"),
        ("240.0.0.1", "never"),
        ("255.255.255.255", "never"),
        ("::127.0.0.1", "never"),
        ("not an address", "never"),
    ],
)
def test_every_address_has_its_standing(address: str, whose: str) -> None:
    assert standing(address) == whose


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/x", "must begin with https://.*OMNI_ALLOW_PRIVATE_WEBHOOKS"),
        ("https://127.0.0.1/x", "private network; OMNI_ALLOW_PRIVATE_WEBHOOKS=true"),
        ("https://localhost/x", "private network"),
        ("https://api.localhost./x", "private network"),
        ("https://[::ffff:10.0.0.1]/x", "private network"),
        ("https://169.254.169.254/latest", "never asked"),
        ("https://user:pass@example.com/", "names a user"),
        ("ftp://example.com/", "must begin with https://"),
        ("https://exa mple.com/", "characters"),
        ("https://", "cannot be read|no host"),
    ],
)
def test_an_address_that_cannot_be_a_webhooks_is_refused_with_the_mend(url: str, why: str) -> None:
    with pytest.raises(AddressRefusedError, match=why) as refused:
        webhook_url(url, allow_private=False)
    assert "pass" not in str(refused.value)


def test_the_setting_allows_ones_own_network_but_never_the_metadata() -> None:
    for url in ("http://example.com/", "http://127.0.0.1:8080/", "https://10.0.0.1/", "http://localhost/"):
        assert str(webhook_url(url, allow_private=True)).startswith(url.rstrip("/"))
    for url in ("http://169.254.169.254/", "http://0.0.0.0/", "http://[fd00:ec2::254]/"):
        with pytest.raises(AddressRefusedError, match="never asked"):
            webhook_url(url, allow_private=True)


class Receiver:
    """A server of somebody's. `visits` counts connections, of whatever kind."""

    def __init__(self) -> None:
        self.visits = 0
        self.requests: list[web.Request] = []
        self.port = 0
        self.gone = asyncio.Event()
        self.stay = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.visits += 1
        self.requests.append(request)
        match request.path:
            case "/large":
                return web.Response(body=b"x" * 4096)
            case "/moved":
                raise web.HTTPFound("/ok")
            case "/cookie":
                return web.Response(headers={"Set-Cookie": "a=b"})
            case "/broken":
                assert request.transport is not None
                request.transport.abort()
            case "/hangs":
                try:
                    await self.stay.wait()
                except asyncio.CancelledError:
                    self.gone.set()
                    raise
        return web.Response(text="ok")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", made.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    made.stay.set()
    await runner.cleanup()


@pytest.fixture
async def near() -> AsyncIterator[OutgoingHttp]:
    made = OutgoingHttp(allow_private=True)
    yield made
    await made.close()


async def fetch(http: OutgoingHttp, url: str, *, limit: int = 1000, timeout_s: float | None = 5) -> tuple[int, bytes]:
    async with http.request("POST", url, headers={}, body=b"{}", timeout_s=timeout_s) as answer:
        return answer.status, await answer.whole(limit)


class Names(AbstractResolver):
    """A name server that answers otherwise every time."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0)
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in found
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"]
)
async def test_no_spelling_of_this_machine_is_connected_to(host: str, receiver: Receiver) -> None:
    http = OutgoingHttp()
    with pytest.raises(OutgoingError):
        await fetch(http, f"https://{host}:{receiver.port}/")
    await http.close()
    assert receiver.visits == 0


async def test_a_name_that_leads_inside_is_refused_and_nothing_is_sent(receiver: Receiver) -> None:
    for inside in (("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("169.254.169.254",)):
        http = OutgoingHttp(resolver=Names(inside))
        with pytest.raises(AddressRefusedError, match="resolves to an address that is not public"):
            await fetch(http, f"https://inside.example:{receiver.port}/")
        await http.close()
    assert receiver.visits == 0


async def test_what_was_judged_is_connected_to_however_the_name_changes(receiver: Receiver) -> None:
    names = Names(("127.0.0.1",), ("169.254.169.254",), ("169.254.169.254",))
    http = OutgoingHttp(allow_private=True, resolver=names)
    assert await fetch(http, f"http://rebinding.example:{receiver.port}/") == (200, b"ok")
    assert names.asked == 1
    await http.close()


def test_the_gate_judges_the_address_itself_whatever_was_judged_before() -> None:
    for host, allow_private in (("127.0.0.1", False), ("169.254.169.254", True)):
        with pytest.raises(RefusedAddressError):
            Gate(allow_private=allow_private)((socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 80)))
    Gate(allow_private=True)((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))).close()


async def test_redirects_are_not_followed_and_cookies_not_kept(receiver: Receiver) -> None:
    near = OutgoingHttp(allow_private=True, resolver=Names(*[("127.0.0.1",)] * 3))
    base = f"http://shop.example:{receiver.port}"
    assert (await fetch(near, f"{base}/moved"))[0] == 302
    await fetch(near, f"{base}/cookie")
    await fetch(near, f"{base}/ok")
    await near.close()
    assert [request.path for request in receiver.requests] == ["/moved", "/cookie", "/ok"]
    assert "Cookie" not in receiver.requests[-1].headers


async def test_the_environments_proxy_is_not_used(
    receiver: Receiver, near: OutgoingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await fetch(near, f"http://127.0.0.1:{receiver.port}/ok") == (200, b"ok")


async def test_every_failure_is_a_sentence_of_its_kind(receiver: Receiver, near: OutgoingHttp) -> None:
    base = f"http://127.0.0.1:{receiver.port}"
    with pytest.raises(TooLargeError):
        await fetch(near, f"{base}/large")
    with pytest.raises(BrokenOffError):
        await fetch(near, f"{base}/broken?token=hush")
    with pytest.raises(TooSlowError, match="in time"):
        await fetch(near, f"{base}/hangs", timeout_s=0.2)
    await receiver.gone.wait()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        with pytest.raises(UnreachableError, match="could not be reached"):
            await fetch(near, f"http://127.0.0.1:{taken.getsockname()[1]}/?token=hush")


@pytest.mark.parametrize("host", ["2852039166", "x..y", "a" * 70 + ".example", "127.0.0.1."])
async def test_a_host_that_no_server_can_have_is_refused_and_not_tried_again(host: str, near: OutgoingHttp) -> None:
    with pytest.raises(AddressRefusedError, match="not a host"):
        await fetch(near, f"http://{host}/")


async def test_cancelling_hangs_up_at_once(receiver: Receiver, near: OutgoingHttp) -> None:
    task = asyncio.create_task(fetch(near, f"http://127.0.0.1:{receiver.port}/hangs", timeout_s=None))
    while not receiver.visits:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.wait_for(receiver.gone.wait(), 5)

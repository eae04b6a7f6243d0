"""Files are fetched from WhatsApp's media hosts and nowhere else; files of ours are uploaded once."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from channels.base import Action, RefusedError
from channels.whatsapp import payloads
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.body import load
from channels.whatsapp.directory import Directory
from channels.whatsapp.media import MEDIA_HOSTS
from channels.whatsapp.signature import appsecret_proof
from channels.whatsapp.simulator import FaultRule, Rules, Simulator, SimulatorSettings, running
from omni.blobs.folder import FolderBlobs
from omni.model.channel import WhatsAppChannel
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.inbound import UserMessage
from omni.model.message import Media, MediaKind, Message
from omni.outgoing.addresses import AddressRefusedError, PublicResolver, checked, is_public

TOKEN = "an-access-token-of-the-tests"
SECRET = "an-app-secret-of-the-tests"
CONTENT = bytes(range(256)) * 700
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CHANNEL = WhatsAppChannel.model_validate(
    {"phone_number_id": "100200300", "access_token": TOKEN, "app_secret": SECRET, "verify_token": "v"}
)
GRAPH = URL("http://127.0.0.1:8090")


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&hash=x",
        "https://LOOKASIDE.fbsbx.com/x",
        "https://fbsbx.com/x",
        "https://scontent-fra3-1.xx.fbcdn.net:443/x",
        "https://mmg.whatsapp.net/x",
        "http://127.0.0.1:8090/media-content/x",
    ],
)
def test_addresses_of_media_hosts_and_of_the_configured_graph_are_allowed(url: str) -> None:
    assert checked(url, hosts=MEDIA_HOSTS, origin=GRAPH).host


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "https://lookaside.fbsbx.com:80/x",
        "https://user@lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com@evil.example/x",
        "https://lookaside.fbsbx.com:443@127.0.0.1/x",
        "https://evil-fbsbx.com/x",
        "https://fbsbx.com.evil.example/x",
        "https://evil.example/?fbsbx.com",
        "https://evil.example/#.fbsbx.com",
        "https://evil.example\\@lookaside.fbsbx.com/x",
        "https://evil.example\\.fbsbx.com/x",
        "https://lookaside.fbsbx.com\n.evil.example/x",
        "https://lookaside.fbsbx.com /x",
        "https://ſbsbx.com/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:8091/x",
        "https://127.0.0.1:8090/x",
        "http://localhost:8090/x",
        "http://me@127.0.0.1:8090/x",
        "file:///etc/passwd",
        "ftp://lookaside.fbsbx.com/x",
        "//lookaside.fbsbx.com/x",
        "lookaside.fbsbx.com/x",
        "https://",
        "https://lookaside.fbsbx.com:99999/x",
        "https://[::1",
        "",
        "https://lookaside.fbsbx.com/" + "x" * 5000,
    ],
)
def test_every_other_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        checked(url, hosts=MEDIA_HOSTS, origin=GRAPH)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("157.240.20.52", True),
        ("2a03:2880:f11c:8083:face:b00c:0:25de", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:157.240.20.52", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::9df0:1434", True),
        ("not an address", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


class Names(AbstractResolver):
    """A name server that answers what a test wants."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0)
            for a in self.addresses
        ]

    async def close(self) -> None: ...


async def test_a_name_with_one_private_address_is_not_connected_to() -> None:
    assert len(await PublicResolver(Names("157.240.20.52")).resolve("x")) == 1
    with pytest.raises(OSError, match="not public"):
        await PublicResolver(Names("157.240.20.52", "10.0.0.1")).resolve("x")


# --- with the stand-in ------------------------------------------------------------------------------------------------


@pytest.fixture
async def simulator() -> AsyncIterator[tuple[Simulator, str]]:
    settings = SimulatorSettings(
        access_token=TOKEN, app_secret=SECRET, port=0, rules=Rules(enforce_window=False, require_appsecret_proof=True)
    )
    async with running(settings) as (made, url):
        yield made, url


@pytest.fixture
async def blobs(tmp_path: Path) -> FolderBlobs:
    made = FolderBlobs(tmp_path / "blobs")
    await made.open()
    return made


@pytest.fixture
async def adapter(simulator: tuple[Simulator, str], blobs: FolderBlobs) -> AsyncIterator[WhatsAppAdapter]:
    made = WhatsAppAdapter(blobs, graph_url=simulator[1], resolver=Names("127.0.0.1"))
    await made.open()
    yield made
    await made.close()


def inbound(simulator: Simulator, content: bytes = CONTENT, **changes: Any) -> Media:
    stored = simulator.media.put("100200300", "image/jpeg", content, filename="a.jpg", owner="user")
    digest = hashlib.sha256(content).hexdigest()
    facts = {"kind": MediaKind.IMAGE, "mime": "image/jpeg", "provider_id": stored.id, "sha256": digest, **changes}
    return Media.model_validate(facts)


async def fetched(adapter: WhatsAppAdapter, media: Media) -> tuple[bytes, str | None, str | None]:
    async with adapter.fetch(CHANNEL, media) as download:
        content = b"".join([piece async for piece in download.content()])
        return content, download.mime, download.expected_sha256


async def refusal_of(adapter: WhatsAppAdapter, media: Media) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await fetched(adapter, media)
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_a_file_is_fetched_by_its_id(simulator: tuple[Simulator, str], adapter: WhatsAppAdapter) -> None:
    assert await fetched(adapter, inbound(simulator[0])) == (CONTENT, "image/jpeg", DIGEST)
    assert await fetched(adapter, inbound(simulator[0], mime=None, sha256=None)) == (CONTENT, "image/jpeg", DIGEST)


@pytest.mark.parametrize(
    "hint", ["https://lookaside.fbsbx.com/private", "http://169.254.169.254/", "https://[::1]/", "file:///etc/passwd"]
)
async def test_a_bad_hint_costs_nothing_but_the_look_up(
    hint: str, simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    assert (await fetched(adapter, inbound(simulator[0], link=hint)))[0] == CONTENT


async def test_an_expired_address_is_looked_up_again_once(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator[0].add_fault(FaultRule(kind="expired_url", times=1))
    assert (await fetched(adapter, inbound(simulator[0])))[0] == CONTENT
    simulator[0].add_fault(FaultRule(kind="expired_url", times=2))
    refused = await refusal_of(adapter, inbound(simulator[0]))
    assert (refused.action, refused.code) == (Action.GIVE_UP, "media_unavailable")


async def test_a_redirect_to_a_private_address_is_not_followed(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    for location in ("http://169.254.169.254/latest/meta-data/", "https://lookaside.fbsbx.com.evil.example/", "//x"):
        simulator[0].add_fault(FaultRule(kind="redirect_private", location=location))
        refused = await refusal_of(adapter, inbound(simulator[0]))
        assert (refused.action, refused.code) == (Action.GIVE_UP, "media_refused")


async def test_an_allowed_name_that_resolves_to_this_machine_is_not_connected_to(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator[0].add_fault(FaultRule(kind="redirect_private", location="https://lookaside.fbsbx.com/rebound"))
    refused = await refusal_of(adapter, inbound(simulator[0]))
    assert refused.code == "unreachable"


async def test_a_file_over_the_cap_is_cut_whatever_its_length_says(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator[0].add_fault(FaultRule(kind="oversize", bytes=64 * 1024 * 1024))
    refused = await refusal_of(adapter, inbound(simulator[0]))
    assert (refused.action, refused.code) == (Action.GIVE_UP, "media_too_large")


async def test_a_file_that_breaks_off_is_tried_again(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator[0].add_fault(FaultRule(kind="truncated"))
    assert (await refusal_of(adapter, inbound(simulator[0]))).action is Action.RETRY


async def test_digests_that_disagree_are_corrupt(simulator: tuple[Simulator, str], adapter: WhatsAppAdapter) -> None:
    refused = await refusal_of(adapter, inbound(simulator[0], sha256="00" * 32))
    assert (refused.action, refused.code) == (Action.GIVE_UP, "media_corrupt")


@pytest.mark.parametrize("media_id", [None, "", "1/../me", "https://x.example", "１２３", "1" * 33, "1?x=1"])
async def test_an_id_that_is_not_digits_never_enters_a_path(
    media_id: str | None, simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    refused = await refusal_of(adapter, inbound(simulator[0], provider_id=media_id))
    assert (refused.action, refused.code) == (Action.GIVE_UP, "media_unavailable")
    assert simulator[0].stats.requests["lookup"] == 0


async def test_media_of_hostile_webhooks_is_fetched_by_id_or_not_at_all(
    simulator: tuple[Simulator, str],
    adapter: WhatsAppAdapter,
    fixture_body: Callable[[str], bytes],
    our_channel: Callable[..., WhatsAppChannel],
) -> None:
    ours = Directory([("default", "echo", our_channel("204917735580163"))])
    for name in (
        "metadata_service",
        "localhost",
        "lookalike",
        "userinfo",
        "backslash",
        "file",
        "ipv6_mapped",
        "other_port",
    ):
        document = load(fixture_body(f"hostile/media_url_{name}"))
        batch = payloads.read(document, 1794830000.0, find=ours.find, secret=0)
        heard = batch.inputs[0]
        assert isinstance(heard, UserMessage)
        media = heard.message.parts[0]
        assert isinstance(media, Media)
        before = simulator[0].stats.requests["lookup"]
        refused = await refusal_of(adapter, media)
        assert refused.provider_code == 100  # the stand-in does not know the id: it was asked, and nobody else
        assert simulator[0].stats.requests["lookup"] == before + 1


# --- uploads ----------------------------------------------------------------------------------------------------------


async def some(content: bytes) -> AsyncIterator[bytes]:
    yield content


def picture(key: str = "pic", **changes: Any) -> Delivery:
    part = Media.model_validate({"kind": MediaKind.IMAGE, "blob": key, "mime": "image/jpeg", **changes})
    return Delivery(
        id="dlv_1",
        call="wa-1",
        home="h",
        agent="echo",
        channel=CHANNEL.id,
        contact="c",
        to=Recipient(identities=(Identity(kind=IdentityKind.WA_ID, value="12025550171"),)),
        message=Message(parts=(part,)),
        origin="human",
        seq=1,
        created_at=0,
    )


async def test_a_file_of_ours_is_uploaded_once_and_sent_by_id(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter, blobs: FolderBlobs
) -> None:
    await blobs.put("pic", some(CONTENT), mime="image/jpeg", max_bytes=10**7)
    made = picture(caption="look")
    for _ in range(2):
        await adapter.send(CHANNEL, made, 0, adapter.pieces(CHANNEL, made)[0])
    first, second = simulator[0].sent()
    assert first.body["image"] == second.body["image"]
    assert isinstance(first.body["image"], dict)
    assert first.body["image"]["caption"] == "look"
    stored = simulator[0].media.find(str(first.body["image"]["id"]))
    assert stored is not None
    assert (stored.content, stored.mime_type) == (CONTENT, "image/jpeg")
    assert simulator[0].stats.requests["upload"] == 1


async def test_a_file_the_platform_forgot_is_uploaded_again(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter, blobs: FolderBlobs
) -> None:
    await blobs.put("pic", some(CONTENT), mime="image/jpeg", max_bytes=10**7)
    made = picture()
    await adapter.send(CHANNEL, made, 0, adapter.pieces(CHANNEL, made)[0])
    simulator[0].media.clear()
    with pytest.raises(RefusedError):
        await adapter.send(CHANNEL, made, 0, adapter.pieces(CHANNEL, made)[0])
    await adapter.send(CHANNEL, made, 0, adapter.pieces(CHANNEL, made)[0])
    assert simulator[0].stats.requests["upload"] == 2


async def test_a_file_that_cannot_be_sent_is_refused(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter, blobs: FolderBlobs
) -> None:
    await blobs.put("big", some(b"x" * (5 * 1024 * 1024 + 1)), mime="image/jpeg", max_bytes=10**8)
    await blobs.put("odd", some(b"x"), mime='x/y"\r\nX-Evil: 1', max_bytes=10**8)
    for key, code in (("gone", "media_unavailable"), ("big", "media_rejected"), ("odd", "invalid_message")):
        made = picture(key, mime=None)
        with pytest.raises(RefusedError) as caught:
            await adapter.send(CHANNEL, made, 0, adapter.pieces(CHANNEL, made)[0])
        assert (caught.value.action, caught.value.code) == (Action.GIVE_UP, code)
        assert not caught.value.is_unclear
    assert simulator[0].sent() == []


# --- faults of a send, end to end -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "action", "unclear"),
    [
        ("pair_rate_limited", Action.SLOW_PAIR, False),
        ("rate_limited", Action.SLOW_NUMBER, False),
        ("server_error", Action.RETRY, False),
        ("transient", Action.RETRY, False),
        ("auth", Action.STOP_TOKEN, False),
        ("permanent", Action.GIVE_UP, False),
        ("html_502", Action.RETRY, True),
        ("garbage", Action.RETRY, True),
        ("reset", Action.RETRY, True),
        ("accept_then_reset", Action.RETRY, True),
    ],
)
async def test_faults_of_the_stand_in(
    kind: Any, action: Action, unclear: bool, simulator: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator[0].add_fault(FaultRule(kind=kind))
    made = picture().model_copy(update={"message": Message.of("hello")})
    piece = adapter.pieces(CHANNEL, made)[0]
    with pytest.raises(RefusedError) as caught:
        await adapter.send(CHANNEL, made, 0, piece)
    assert (caught.value.action, caught.value.is_unclear) == (action, unclear)
    taken = await adapter.send(CHANNEL, made, 0, piece)
    assert simulator[0].sent()[-1].id == taken.provider_id
    assert simulator[0].sent()[-1].tracker == "omni:dlv_1:0"


async def test_no_secret_reaches_the_log(
    simulator: tuple[Simulator, str], adapter: WhatsAppAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = picture().model_copy(update={"message": Message.of("hello")})
    piece = adapter.pieces(CHANNEL, made)[0]
    for kind in ("auth", "html_502", "reset"):
        simulator[0].add_fault(FaultRule.model_validate({"kind": kind}))
        with pytest.raises(RefusedError):
            await adapter.send(CHANNEL, made, 0, piece)
    await adapter.send(CHANNEL, made, 0, piece)
    await fetched(adapter, inbound(simulator[0]))
    assert await adapter.probe(CHANNEL)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("omni"))
    for secret in (TOKEN, SECRET, appsecret_proof(SECRET, TOKEN)):
        assert secret not in ours
        assert secret not in repr(CHANNEL)

"""A real telephone (baresip) and us: tones both ways by every transport, with and without encryption."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from channels.audio import Order
from omni.model.channel import PhoneChannel
from tests.ports import free_port
from tests.sip.baresip import Phone, phone
from tests.sip.board import frames, loudest, tone, until
from tests.sip.conftest import NUMBER, OpenSip, need, trunk

THEIRS, OURS = 440.0, 1000.0
LINE = PhoneChannel(number=NUMBER, trunk="pbx")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1 and localhost, with its key, in one file."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


OpenPhone = Callable[..., Any]


@pytest.fixture
async def open_phone(tmp_path: Path) -> AsyncIterator[OpenPhone]:
    program = need("baresip")
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Phone:
            port = settings.pop("port", None) or free_port()
            given = {"said": tone(THEIRS, 30), "control": free_port(), "rtp": free_port(), **settings}
            context: AbstractAsyncContextManager[Phone] = phone(program, tmp_path / "phone", port=port, **given)
            return await stack.enter_async_context(context)

        yield start


def account(port: int, transport: str, *more: str) -> str:
    return ";".join((f"<sip:alice@127.0.0.1:{port};transport={transport}>", "regint=0", *more))


@pytest.mark.parametrize(
    ("transport", "srtp"), [("udp", False), ("tcp", False), ("tls", False), ("udp", True), ("tls", True)]
)
async def test_a_phone_calls_and_each_hears_the_other(
    open_sip: OpenSip, open_phone: OpenPhone, certificate: Path, transport: str, srtp: bool
) -> None:
    sip = await open_sip(
        trunk(srtp="required" if srtp else "optional"),
        transports=("udp", "tcp", "tls"),
        cert=str(certificate),
    )
    sip.board.plays = frames(tone(OURS, 6))
    port = sip.port(transport)
    them = await open_phone(
        account=account(port, transport, *(["mediaenc=srtp-mand"] if srtp else [])),
        srtp=srtp,
        transport=transport,
        certificate=certificate if transport == "tls" else None,
    )
    await them.do("dial", f"sip:{NUMBER}@127.0.0.1:{port};transport={transport}")
    await them.saw("CALL_ESTABLISHED")
    ear = sip.board.only
    await until(lambda: len(ear.heard_frames) >= 150, "three seconds were heard")
    await them.do("hangup")
    await until(lambda: ear.ends == ["hangup"])
    await sip.at_rest()
    heard = ear.pcm[16_000:48_000]  # two seconds, without the beginning
    hertz, decibels = loudest(heard)
    assert abs(hertz - THEIRS) < 1
    assert decibels >= 30
    times = [at for at, _ in ear.heard_frames]
    assert times[:100] == [n * 20.0 for n in range(100)]
    hertz, decibels = loudest(them.heard()[16_000:48_000])
    assert abs(hertz - OURS) < 1
    assert decibels >= 30


async def test_we_call_a_phone_and_each_hears_the_other(open_sip: OpenSip, open_phone: OpenPhone) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    sip.board.plays = frames(tone(OURS, 6))
    them = await open_phone(port=port, account=account(port, "udp", "answermode=auto"))
    call = await sip.carrier.dial(Order(LINE, NUMBER, "sip:alice@127.0.0.1", "token"))
    await until(lambda: call in sip.board.ears)
    ear = sip.board.only
    await until(lambda: len(ear.heard_frames) >= 150)
    assert await sip.carrier.press(LINE, call, "19#")
    ear.leg.hang_up()
    await them.saw("CALL_CLOSED")
    await sip.at_rest()
    for heard, wanted in ((ear.pcm, THEIRS), (them.heard(), OURS)):
        hertz, decibels = loudest(heard[16_000:48_000])
        assert abs(hertz - wanted) < 1
        assert decibels >= 30
    digits = [each["param"] for each in them.events if each.get("type") == "CALL_DTMF_START"]
    assert digits == ["1", "9", "#"], them.events


async def test_a_phone_presses_keys_and_holds(open_sip: OpenSip, open_phone: OpenPhone) -> None:
    sip = await open_sip()
    them = await open_phone(account=account(sip.port(), "udp"))
    await them.do("dial", f"sip:{NUMBER}@127.0.0.1:{sip.port()}")
    await them.saw("CALL_ESTABLISHED")
    ear = sip.board.only
    await until(lambda: len(ear.heard_frames) >= 20)
    for digit in "19#":
        await them.do("sndcode", digit)
        await asyncio.sleep(0.3)  # a finger's pace
    await until(lambda: ear.digits == "19#", f"the keys were heard: {ear.digits}")
    await them.do("hold")
    await until(lambda: next(iter(sip.calls.values())).sound.far.direction == "sendonly", "we are held")
    count = len(ear.heard_frames)
    await them.do("resume")
    await until(lambda: len(ear.heard_frames) > count + 20, "we hear them again")
    await them.do("hangup")
    await until(lambda: ear.ends == ["hangup"])
    await sip.at_rest()

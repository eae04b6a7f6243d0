"""Kamailio as the trunk: we register there, it asks who we are, it sends its phones' calls to us and ours to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels.audio import Order, Transfer
from omni.model.channel import PhoneChannel
from tests.ports import free_port
from tests.sip.baresip import phone
from tests.sip.board import frames, loudest, tone, until
from tests.sip.conftest import NUMBER, OpenSip, need, trunk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LINE = PhoneChannel(number=NUMBER, trunk="pbx")

CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
alias="omni.test"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 600)
request_route {{
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("omni.test", "secret", "0")) {{
      www_challenge("omni.test", "0");
      exit;
    }}
    save("location");
    exit;
  }}
  if (has_totag()) {{
    if (loose_route()) {{
      t_relay();
      exit;
    }}
    if (is_method("ACK") && t_check_trans()) {{
      t_relay();
    }}
    exit;
  }}
  if (is_method("CANCEL")) {{
    if (t_check_trans()) {{
      t_relay();
    }}
    exit;
  }}
  if (!is_method("INVITE")) {{
    sl_send_reply("405", "No");
    exit;
  }}
  if (!pv_proxy_authenticate("omni.test", "secret", "0")) {{
    proxy_challenge("omni.test", "0");
    exit;
  }}
  consume_credentials();
  record_route();
  if ($rU == "{number}") {{
    $rU = "line";
  }}
  if (!lookup("location")) {{
    sl_send_reply("404", "Nobody of that name");
    exit;
  }}
  t_relay();
}}
"""


@asynccontextmanager
async def kamailio(program: str, folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    found = [each.parent for each in Path("/usr/lib").glob("**/kamailio/modules/tm.so")]
    assert found, "kamailio has no modules"
    config = folder / f"kamailio-{port}.cfg"
    config.write_text(CONFIG.format(port=port, modules=f"{found[0]}/", number=NUMBER))
    with (folder / "kamailio.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-f", str(config), "-DD", "-E", "-m", "32", "-M", "4", "-w", str(folder), "-Y", str(folder),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                assert process.returncode is None, (folder / "kamailio.log").read_text()[-3000:]
                await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 5)
                except TimeoutError:
                    process.kill()
                    await process.wait()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_and_we_call_each_other_through_a_trunk(
    open_sip: OpenSip, tmp_path: Path, transport: str
) -> None:
    program, port = need("kamailio"), free_port()
    async with kamailio(program, tmp_path, port):
        sip = await open_sip(
            trunk(
                host=f"127.0.0.1:{port}",
                transport=transport,
                register=True,
                username="line",
                password="secret",
                allow=[],
            )
        )
        sip.board.plays = frames(tone(1000, 8))
        (registration,) = sip.service.registrations
        await until(lambda: registration.granted > 0, "we are registered")
        account = (
            f"<sip:bob@127.0.0.1:{port};transport={transport}>;auth_user=bob;auth_pass=secret;regint=60;answermode=auto"
        )
        async with phone(
            need("baresip"), tmp_path / "phone", tone(440, 30), port=free_port(), control=free_port(), rtp=free_port(),
            account=account, transport=transport,
        ) as bob:  # fmt: skip
            await bob.registered()
            await bob.do("dial", f"sip:{NUMBER}@127.0.0.1:{port};transport={transport}")
            await bob.saw("CALL_ESTABLISHED")
            await until(lambda: bool(sip.board.ears))
            ear = sip.board.only
            await until(lambda: len(ear.heard_frames) >= 120)
            hertz, decibels = loudest(ear.pcm[6_400:32_000])
            assert abs(hertz - 440) < 1
            assert decibels >= 30
            await bob.do("hangup")
            await until(lambda: ear.ends == ["hangup"])
            await sip.at_rest()
            sip.board.ears.clear()
            call = await sip.carrier.dial(Order(LINE, NUMBER, f"sip:bob@127.0.0.1:{port}", "token"))
            await until(lambda: call in sip.board.ears)
            ear = sip.board.only
            await until(lambda: len(ear.heard_frames) >= 50)
            ear.leg.hang_up()
            await sip.at_rest()
            call = await sip.carrier.dial(Order(LINE, NUMBER, f"sip:nobody@127.0.0.1:{port}", "token"))
            await until(lambda: sip.board.statuses(call) == ["failed"])
            assert sip.board.told[-1].code == "404"
            await sip.at_rest()


async def test_we_are_back_when_the_registrar_is(open_sip: OpenSip, tmp_path: Path) -> None:
    program, port = need("kamailio"), free_port()
    settings = trunk(host=f"127.0.0.1:{port}", register=True, username="line", password="secret", allow=[])
    async with kamailio(program, tmp_path, port):
        sip = await open_sip(settings, scale=0.1)
        (registration,) = sip.service.registrations
        await until(lambda: registration.granted > 0)
    wait = await registration.once()
    assert registration.granted == 0
    assert wait < 5
    async with kamailio(program, tmp_path, port):
        wait = await registration.once()
        assert registration.granted == 600
        assert wait == 540


async def test_a_person_is_given_to_another_phone(open_sip: OpenSip, tmp_path: Path) -> None:
    program, port = need("kamailio"), free_port()
    baresip = need("baresip")
    async with kamailio(program, tmp_path, port):
        sip = await open_sip(
            trunk(host=f"127.0.0.1:{port}", register=True, username="line", password="secret", allow=[])
        )
        (registration,) = sip.service.registrations
        await until(lambda: registration.granted > 0)

        def account(name: str) -> str:
            return f"<sip:{name}@127.0.0.1:{port}>;auth_user={name};auth_pass=secret;regint=60;answermode=auto"

        async with (
            phone(baresip, tmp_path / "bob", tone(440, 60), port=free_port(), control=free_port(), rtp=free_port(),
                  account=account("bob")) as bob,
            phone(baresip, tmp_path / "cyd", tone(660, 60), port=free_port(), control=free_port(), rtp=free_port(),
                  account=account("cyd")) as cyd,
        ):  # fmt: skip
            await bob.registered()
            await cyd.registered()
            call = await sip.carrier.dial(Order(LINE, NUMBER, f"sip:bob@127.0.0.1:{port}", "token"))
            await until(lambda: call in sip.board.ears)
            await sip.carrier.transfer(LINE, call, Transfer(f"sip:cyd@127.0.0.1:{port}", NUMBER))
            await cyd.saw("CALL_ESTABLISHED")
            await until(lambda: sip.board.statuses(call)[-1] == "forwarded")
            await sip.at_rest()

"""A real telephone and a whole server that hears and speaks: what is said arrives, word for word or nearly so."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from omni.app.engines import engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.settings import Settings
from omni.store.base import CallFilter
from tests.ports import free_port
from tests.server.shop import OURS, until
from tests.sip.baresip import phone
from tests.sip.conftest import NUMBER, need, trunk
from tests.voice.speech.office import ECHO, error_rate, recognised
from tests.voice.stt import speech
from workers.voice.stt import packaged

pytestmark = [pytest.mark.long, pytest.mark.timeout(240), pytest.mark.xdist_group("speech")]

SENTENCE = "I would like to book a table for four people tomorrow evening."


@pytest.mark.parametrize("srtp", ["optional", "required"])
async def test_a_sentence_is_heard_and_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, srtp: str) -> None:
    if not packaged.is_installed() or importlib.util.find_spec("piper") is None:
        pytest.skip("the extra `local-speech` is not installed")
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    port = free_port()
    agent = Agent.model_validate(
        {
            "slug": "desk",
            "brain": "script",
            "language": "en",
            "script": [ECHO],
            "channels": [{"kind": "phone", "number": NUMBER, "trunk": "pbx"}],
        }
    )
    settings = Settings(
        port=0,
        agents=(agent,),
        store_url=f"sqlite:///{tmp_path}/omni.db",
        sqlite_sync="normal",
        partitions=2,
        sip_bind=f"127.0.0.1:{port}",
        sip_trunks=(trunk(srtp=srtp),),
    )
    server = Server(settings)
    await server.start()
    try:
        await until(lambda: _open(server), 120)
        said = b"\0" * 24_000 + speech.said(SENTENCE) + b"\0" * 16_000 * 20
        account = f"<sip:alice@127.0.0.1:{port}>;regint=0" + (";mediaenc=srtp-mand" if srtp == "required" else "")
        async with phone(
            need("baresip"), tmp_path / "phone", said, port=free_port(), control=free_port(), rtp=free_port(),
            account=account, srtp=srtp == "required",
        ) as them, engines(settings) as found:  # fmt: skip
            await them.do("dial", f"sip:{NUMBER}@127.0.0.1:{port}")
            await them.saw("CALL_ESTABLISHED")
            (call,) = await until(lambda: _calls(found), 30)
            answers = await until(lambda: _facts(found, call, "bot.finished"), 90)
            await them.do("hangup")
            turns = await _facts(found, call, "user.message")
            assert error_rate([(SENTENCE, " ".join(fact.text for fact in turns))]) <= 0.1
            heard = " ".join(await recognised(them.heard()))
            assert error_rate([(" ".join(fact.text for fact in answers), heard)]) <= 0.2
            await until(lambda: _over(found, call), 30)
    finally:
        await server.stop()


async def _open(server: Server) -> bool:
    return server._voice is not None and server._voice._sip is not None


async def _calls(found: Any) -> list[Call]:
    return list(await found.store.calls(CallFilter(DEFAULT_ORG), limit=5))


async def _facts(found: Any, call: Call, kind: str) -> list[Any]:
    return [each.fact for each in await found.store.entries(call.id, limit=1000) if each.fact.type == kind]


async def _over(found: Any, call: Call) -> bool:
    now = await found.store.call(call.id)
    return now is not None and not now.is_open

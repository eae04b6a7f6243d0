"""The programs under examples/ do what they say, each in a process of its own against a real server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.brains.llm_server import calls, says
from tests.sdk.house import ANA, KEY, House, Visitor

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass
class Example:
    """A running example. `lines` is what it has printed so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def prints(self, start: str) -> str:
        """The next line that begins so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while True:
                line = (await self.process.stdout.readline()).decode().rstrip("\n")
                assert line or not self.process.stdout.at_eof(), "\n".join(self.lines)
                self.lines.append(line)
                if line.startswith(start):
                    return line


@asynccontextmanager
async def running(house: House, name: str, **variables: str) -> AsyncIterator[Example]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), env={**house.variables(), **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    example = Example(process)
    try:
        yield example
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
        example.lines += out.decode().splitlines()


async def token(house: House, agent: str) -> str:
    """A chat token, once the agent is online."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with asyncio.timeout(30):
        while True:
            url = f"{house.direct}/chat/token?agent_id={agent}"
            async with house.http.get(url, headers=headers) as answer:
                if answer.ok:
                    return str((await answer.json())["token"])
                assert answer.status == 404, await answer.text()
            await asyncio.sleep(0.02)


async def answer_to(visitor: Visitor, text: str) -> str:
    await visitor.says(text)
    return str((await visitor.expect("chat.done"))["text"]).strip()


@pytest.mark.parametrize("name", ["bot_llm_server.py", "bot_llm_client.py"])
def test_a_bot_is_short(name: str) -> None:
    lines = [line for line in (EXAMPLES / name).read_text().splitlines() if line.strip()]
    assert len(lines) < 15


async def test_a_bot_with_the_servers_model(house: House) -> None:
    house.llm.will(calls(("order_status", '{"order": 1042}')), says("It is on its way."))
    async with running(house, "bot_llm_server.py"), house.visitor(await token(house, "desk")) as visitor:
        assert await answer_to(visitor, "where is 1042?") == "It is on its way."
    system, *_, result = house.llm.requests[1]["messages"]
    assert "You are the desk of a paper shop." in system["content"]
    assert (result["role"], result["content"]) == ("tool", "on its way")


async def test_a_bot_with_a_model_of_its_own(house: House) -> None:
    own = {"OPENAI_BASE_URL": house.llm.base_url, "OPENAI_API_KEY": "sk-test"}
    async with running(house, "bot_llm_client.py", **own), house.visitor(await token(house, "desk")) as visitor:
        assert await answer_to(visitor, "hello there") == "You said: hello there"
        assert await answer_to(visitor, "again") == "You said: again"
        assert "chat.token" in [frame["event"] for frame in visitor.frames]  # read as it was written
    asked = [(one["role"], one["content"]) for one in house.llm.requests[1]["messages"]]
    assert asked[0][0] == "system"
    assert asked[1:] == [("user", "hello there"), ("assistant", "You said: hello there"), ("user", "again")]


async def test_the_agents_api(house: House) -> None:
    async with running(house, "agent_api.py", PORT="0") as example:
        port = (await example.prints("serving")).split()[1]
        told = "\n".join(example.lines)
        assert "config elevenlabs:frenchVoiceId gpt-4.1" in told
        assert "dial nobody answered at +14155551234" in told
        assert f"token {house.url} 60" in told or "token http://" in told
        assert "call None" in told
        for channel in ("phone +13186330963", "phone sip:bot@trunk.twilio.com", "webrtc", "whatsapp 123456789012345"):
            assert f"channel {channel}" in told
        events = house.http.get(f"http://localhost:{port}/events", timeout=aiohttp.ClientTimeout(total=30))
        async with events as answer, house.visitor(await token(house, "my-agent")) as visitor:
            assert await answer.content.readuntil(b"\n\n") == b'event: connected\ndata: {"agent": "my-agent"}\n\n'
            house.llm.will(says("Hola."))
            assert await answer_to(visitor, "hi") == "Hola."
            seen = b""
            while b"event: bot.speaking" not in seen:
                seen += await answer.content.readuntil(b"\n\n")
            assert b"event: chat.started" in seen
            assert b'"text": "hi"' in seen


async def test_the_calls_api(house: House) -> None:
    async with running(house, "call_api.py") as example:
        async with house.visitor(await token(house, "call-api")) as visitor:
            expected = {
                "say": "Hello! How can I help?",
                "reply": "Sure, let me look that up for you.",
                "reply_stream": "Once upon a time",
                "block": "Once upon a time",
                "pipe": "Once upon a time",
                "cancel": "Cancelled.",
                "configure": "Configurado.",
                "prompt": "Prompted.",
                "prompt_file": "Prompted from a file.",
            }
            for word, text in expected.items():
                assert await answer_to(visitor, word) == text, word
            assert (await answer_to(visitor, "history")).startswith("There were ")
            sounds = {"hold": "call.unhold", "mute": "call.unmute", "keys": "call.dtmf", "forward": "call.forward"}
            for word, command in sounds.items():
                await visitor.says(word)
                await example.prints(f"error NOT_AN_AUDIO_CALL {command} is for calls with sound")
            await visitor.says("bye")
            kept = json.loads((await example.prints("kept")).removeprefix("kept "))
        assert (kept["transport"], kept["reason"], kept["direction"]) == ("chat", "hangup", "inbound")
        assert kept["duration"] > 0
        assert kept["messages"][-1]["content"] == "Goodbye!"
    assert "Traceback" not in "\n".join(example.lines)


async def test_tools_by_hand(house: House) -> None:
    """The call API's last sample is about agents with the server's model."""
    program = (EXAMPLES / "call_api.py").read_text().replace('"call-api",', '"call-api", llm="openai/test",')
    changed = house.folder / "call_api.py"
    changed.write_text(program)
    house.llm.will(calls(("transferToHuman", '{"why": "angry"}')), says("Connected."))
    async with running(house, str(changed)), house.visitor(await token(house, "call-api")) as visitor:
        await visitor.says("a person!")
        said = ""
        while "Connected." not in said:
            said += (await visitor.expect("chat.done", "chat.token"))["text"]
    (result,) = [one["content"] for one in house.llm.requests[1]["messages"] if one["role"] == "tool"]
    assert json.loads(result) == {"done": "transferToHuman", "with": {"why": "angry"}}


async def test_every_event(house: House) -> None:
    async with running(house, "events.py") as example:
        async with house.visitor(await token(house, "events")) as visitor:
            assert await answer_to(visitor, "hello") == "hello"
            for start in ("chat started chat", 'User said: "hello"', "speaking msg_", 'Done (0ms): "hello"'):
                await example.prints(start)
        await example.prints("Call ended: disconnected")
        house.writes("hola")
        assert await house.reads(1) == ["hola"]
        for start in (
            f"whatsapp started {ANA}",
            f"whatsapp message text {ANA} hola",
            f"whatsapp response {ANA} hola bot",
            "confirmed msg_",
            f"whatsapp status read {ANA}",
        ):
            await example.prints(start)
    assert "Traceback" not in "\n".join(example.lines)


async def test_the_bot_of_the_readme(house: House) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    program = readme.partition("```python\n")[2].partition("```")[0]
    (house.folder / "bot.py").write_text(program)
    bot = running(house, str(house.folder / "bot.py"))
    async with bot, house.visitor(await token(house, "echo")) as visitor:
        assert await answer_to(visitor, "hello") == "You said: hello"

"""`omni demo` and the commands beside it, as a newcomer uses them."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web


async def test_a_message_typed_on_the_phone_is_answered(demo: Any) -> None:
    await demo.phone.say("hello")
    buttons = (await demo.phone.answers(1))[0]
    assert buttons["interactive"]["type"] == "button"
    await demo.phone.say("where is my order 1042?")
    text = (await demo.phone.answers(2))[1]["text"]["body"]
    assert text.startswith("Order 1042 is ")
    await demo.phone.say("menu")
    assert (await demo.phone.answers(3))[2]["interactive"]["type"] == "list"


async def test_the_welcome_names_what_is_there(demo: Any, session: aiohttp.ClientSession) -> None:
    for path in ("/demo/", "/health", "/metrics"):
        assert f"{demo.url}{path}" in demo.welcome
        async with session.get(f"{demo.url}{path}") as answer:
            assert answer.status == 200
    async with session.get(f"{demo.url}/ready") as answer:
        assert (await answer.json())["status"] == "ready"


async def test_the_welcome_has_a_link_that_signs_its_reader_in_to_the_inbox(
    demo: Any, session: aiohttp.ClientSession
) -> None:
    [link] = [word for word in demo.welcome.split() if "#link=" in word]
    address, _, token = link.partition("#link=")
    assert address == f"{demo.url}/inbox"
    async with session.get(address) as page:
        assert (page.status, page.content_type) == (200, "text/html")
    async with session.post(f"{demo.url}/v1/inbox/sign-in/link", json={"token": token}) as answer:
        assert answer.status == 200
        me = await answer.json()
    assert (me["email"], me["role"]) == ("you@localhost", "admin")


async def test_its_port_may_be_a_variable(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    omni.variables["OMNI_PORT"] = str(free_port)
    process = await omni.start("demo")
    try:
        welcome = (await process.stdout.readuntil(b"Ctrl-C stops.\n")).decode()
    finally:
        await ended(process)
    assert f"http://127.0.0.1:{free_port}/demo/" in welcome


async def test_its_inbox_can_send_the_stand_ins_templates(demo: Any, omni: Any, session: aiohttp.ClientSession) -> None:
    await demo.phone.say("hello")
    await demo.phone.answers(1)
    key = json.loads((omni.folder / "omni-data" / "secrets.json").read_text())["api_key"]
    session.headers["Authorization"] = f"Bearer {key}"
    async with session.get(f"{demo.url}/v1/inbox/conversations") as answer:
        [row] = (await answer.json())["rows"]
    async with session.get(f"{demo.url}/v1/inbox/conversations/{row['id']}/templates") as answer:
        assert answer.status == 200, await answer.text()
        assert "hello_world" in {one["name"] for one in (await answer.json())["templates"]}


async def test_its_bot_answers_in_the_terminal(demo: Any, omni: Any) -> None:
    assert "omni chat sunrise" in demo.welcome
    done = await omni("chat", "sunrise", typed="where is my order 1042?\n")
    assert done.status == 0, done.err
    assert "Order 1042 is " in done.out


async def test_secrets_of_an_older_demo_stay(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    old = {"access_token": "a", "app_secret": "b", "verify_token": "c"}
    (omni.folder / "omni-data").mkdir()
    (omni.folder / "omni-data" / "secrets.json").write_text(json.dumps(old))
    process = await omni.start("demo", "--port", str(free_port))
    try:
        await process.stdout.readuntil(b"Ctrl-C stops.\n")
    finally:
        await ended(process)
    kept = json.loads((omni.folder / "omni-data" / "secrets.json").read_text())
    assert {name: kept[name] for name in old} == old
    assert kept["api_key"]


async def test_sigterm_ends_it_with_status_0(demo: Any) -> None:
    async with asyncio.timeout(10):
        assert await demo.stop() == 0


async def test_its_secrets_are_its_own_and_private(demo: Any, omni: Any) -> None:
    for name in ("secrets.json", "omni.yaml", "omni.db"):
        assert stat.S_IMODE((omni.folder / "omni-data" / name).stat().st_mode) == 0o600
    made = json.loads((omni.folder / "omni-data" / "secrets.json").read_text())
    shown = (await omni("agents", "show", "sunrise")).out
    assert "access_token" in shown
    assert not any(secret in shown for secret in made.values())


async def test_a_second_demo_says_what_is_in_its_way(
    demo: Any, omni: Any, free_ports: Callable[[int], list[int]]
) -> None:
    port = demo.url.rpartition(":")[2]
    same_port = await omni("demo", "--port", port, "--data", "other")
    assert same_port.status == 2
    assert "--port" in same_port.err
    assert len(same_port.err.splitlines()) == 1
    same_folder = await omni("demo", "--port", str(free_ports(1)[0]))
    assert same_folder.status == 2
    assert "--data" in same_folder.err


async def test_fresh_forgets_only_what_the_demo_made(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    folder: Path = omni.folder / "omni-data"
    folder.mkdir()
    (folder / "omni.db").write_text("old and not a database")
    (folder / "mine.txt").write_text("keep")
    process = await omni.start("demo", "--port", str(free_port), "--fresh")
    try:
        await process.stdout.readuntil(b"Ctrl-C stops.\n")
    finally:
        await ended(process)
    assert (folder / "mine.txt").read_text() == "keep"


async def test_tail_shows_a_conversation_live(demo: Any, omni: Any, ended: Callable[..., Any]) -> None:
    tail = await omni.start("calls", "tail")
    try:
        await demo.phone.say("hello \x1b[31mred")
        seen = ""
        while "‹ bot  Hello!" not in seen:
            seen += (await tail.stdout.readline()).decode()
        assert "› Ada  hello" in seen
        assert "\x1b" not in seen
    finally:
        await ended(tail)
    as_json = await omni("calls", "tail", "--json", "--no-follow", "-n", "100")
    types = [json.loads(line)["type"] for line in as_json.out.splitlines()]
    assert types[0] == "call.started"
    assert "user.message" in types


async def test_a_person_takes_over_and_gives_back(demo: Any, omni: Any) -> None:
    await demo.phone.say("hello")
    await demo.phone.answers(1)
    assert (await omni("send", "last", "Hello, this is Tess", "--by", "tess")).status == 0
    assert (await demo.phone.answers(2))[1]["text"]["body"] == "Hello, this is Tess"
    await demo.phone.say("are you a robot?")
    while "(the bot is silent)" not in (shown := (await omni("calls", "show")).out):
        pass
    assert "tess has the conversation" in shown
    assert (await omni("resume", "last", "--by", "tess")).status == 0
    while "gave the conversation back" not in (await omni("calls", "show")).out:
        pass
    await demo.phone.say("menu")
    while (await demo.phone.answers(3))[-1].get("type") != "interactive":
        await asyncio.sleep(0.02)


async def test_a_paused_person_is_not_answered_until_resumed(demo: Any, omni: Any) -> None:
    await demo.phone.say("hello")
    await demo.phone.answers(1)
    assert (await omni("pause", demo.phone.number)).status == 0
    await demo.phone.say("are you there?")
    while "(the bot is silent)" not in (await omni("calls", "show")).out:  # a pause takes effect a moment later
        await demo.phone.say("are you there?")
    answered = len(await demo.phone.answers(1))
    assert (await omni("resume", demo.phone.number)).status == 0
    while len(await demo.phone.answers(1)) == answered:
        await demo.phone.say("menu")
        await asyncio.sleep(0.5)
    assert (await omni("pause", "nobody-known")).status == 2


async def test_the_agent_hands_over_when_asked_for_a_human(demo: Any, omni: Any) -> None:
    await demo.phone.say("I want a human")
    assert "calling a colleague" in (await demo.phone.answers(1))[0]["text"]["body"]
    while "waits for a person" not in (await omni("calls", "list", "--waiting")).out:
        pass


async def test_doctor_looks_at_everything_and_shows_no_secret(demo: Any, omni: Any) -> None:
    omni.variables["OMNI_PUBLIC_URL"] = demo.url
    done = await omni("doctor", "--json")
    assert done.status == 0, done.out + done.err
    findings = [json.loads(line) for line in done.out.splitlines()]
    levels = {one["about"]: one["level"] for one in findings if one["level"] != "warn"}
    assert levels.keys() >= {
        "settings",
        "disk",
        "file",
        "store",
        "bus",
        "blobs",
        "queues",
        "clock",
        "whatsapp",
        "webhook",
    }
    assert any("passes the handshake" in one["text"] for one in findings)
    made = json.loads((omni.folder / "omni-data" / "secrets.json").read_text())
    assert not any(secret in done.out + done.err for secret in made.values())
    assert "doctor" not in (await omni("agents", "list")).out


async def test_doctor_fails_for_a_number_whose_provider_cannot_be_reached(demo: Any, omni: Any) -> None:
    assert await demo.stop() == 0
    done = await omni("doctor")
    assert done.status == 1
    assert "FAIL  whatsapp" in done.out


async def test_a_picture_is_fetched_and_answered(demo: Any, omni: Any, session: aiohttp.ClientSession) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(64)
    async with session.post(
        f"{demo.phone.base}/control/media", data=picture, headers={"Content-Type": "image/png"}
    ) as answer:
        media_id = (await answer.json())["id"]
    body = {"from": demo.phone.number, "type": "image", "media_id": media_id, "caption": "look"}
    async with session.post(f"{demo.phone.base}/control/messages", json=body) as answer:
        assert answer.ok
    assert "picture" in (await demo.phone.answers(1))[0]["text"]["body"]
    assert "image stored" in (await omni("calls", "show")).out


async def test_a_model_answers_as_soon_as_one_is_named(
    omni: Any, free_port: int, session: aiohttp.ClientSession, phone_at: Callable[..., Any], ended: Callable[..., Any]
) -> None:
    asked: list[dict[str, Any]] = []

    async def complete(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for delta, reason in (({"role": "assistant", "content": "A model "}, None), ({"content": "says hi"}, "stop")):
            chunk = {
                "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }  # fmt: skip
            await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await answer.write(b"data: [DONE]\n\n")
        return answer

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        omni.variables["OMNI_LLM_BASE_URL"] = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        process = await omni.start("demo", "--port", str(free_port))
        try:
            assert b"The model gpt-4.1-mini answers" in await process.stdout.readuntil(b"Ctrl-C stops.\n")
            phone = phone_at(session, f"http://127.0.0.1:{free_port}/demo")
            await phone.say("hello")
            assert (await phone.answers(1))[0]["text"]["body"] == "A model says hi"
        finally:
            await ended(process)
    finally:
        await runner.cleanup()
    assert "Sunrise Café" in asked[0]["messages"][0]["content"]
    assert "order_status" in [tool["function"]["name"] for tool in asked[0]["tools"]]

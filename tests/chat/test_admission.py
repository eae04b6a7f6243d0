"""Who may come in: tokens once, pages that the agent allows, and those who were here before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.access.tokens import TokenError
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat, OwnPage, Page, agent_of

SHOP = "https://shop.example"


async def refused(page: Page) -> tuple[str, int | None]:
    """The sentence and the close code of a socket that was not let in."""
    frame = await page.next()
    assert frame["event"] == "error"
    return frame["error"], await page.closed()


async def hello(chat: Chat, origin: str | None, **fields: Any) -> OwnPage:
    page = OwnPage(await chat.connect("/chat/ws", origin))
    await page.send("hello", **fields)
    return page


async def test_a_token_opens_one_socket(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    chat = await open_chat(engine=engine)
    token = chat.token()
    pages = [await chat.page(token) for _ in range(3)]
    frames = await asyncio.gather(*(page.next() for page in pages))
    assert sorted(frame["event"] for frame in frames) == ["chat.connected", "error", "error"]


@pytest.mark.parametrize(
    ("token", "words"),
    [("", "not a token"), ("cht_forged.token", "not valid"), ("wrt_x.y", "webrtc token"), ("pk_key", "not a token")],
)
async def test_what_is_no_chat_token_opens_nothing(open_chat: OpenChat, token: str, words: str) -> None:
    chat = await open_chat()
    page = Page(await chat.connect(f"/chat/ws?token={token}"))
    sentence, code = await refused(page)
    assert words in sentence
    assert code == 4401


async def test_an_expired_token_opens_nothing(open_chat: OpenChat, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = await open_chat()
    monkeypatch.setattr(chat.access.tokens, "_clock", lambda: 1_000.0)
    page = await chat.page(chat.token())
    sentence, code = await refused(page)
    assert ("expired" in sentence, code) == (True, 4401)


async def test_a_token_that_may_only_watch_is_refused_and_not_used_up(open_chat: OpenChat) -> None:
    chat = await open_chat()
    token = chat.token(scope="observe")
    _, code = await refused(await chat.page(token))
    assert code == 4403
    await chat.access.tokens.consume(chat.access.tokens.open(token, "chat"))
    with pytest.raises(TokenError):
        await chat.access.tokens.consume(chat.access.tokens.open(token, "chat"))


async def test_a_token_of_an_agent_that_is_gone_opens_nothing(open_chat: OpenChat) -> None:
    chat = await open_chat()
    sentence, code = await refused(await chat.page(chat.token("ghost")))
    assert ("no agent 'ghost'" in sentence, code) == (True, 4404)


async def test_a_page_without_a_key_may_mint_and_use_its_own_token_only(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(allowed_origins=[SHOP]))

    async def mint() -> str:
        async with chat.http.get(f"{chat.url}/chat/token?agent_id=desk", headers={"Origin": SHOP}) as answer:
            assert answer.status == 200
            return str((await answer.json())["token"])

    here = Page(await chat.connect(f"/chat/ws?token={await mint()}", SHOP))
    assert (await here.next())["event"] == "chat.connected"
    elsewhere = Page(await chat.connect(f"/chat/ws?token={await mint()}", "https://evil.example"))
    assert (await refused(elsewhere))[1] == 4403


@pytest.mark.parametrize(
    "origin", [None, "https://evilshop.example", "https://shop.example.evil", "http://shop.example", "null"]
)
async def test_other_pages_are_refused(open_chat: OpenChat, origin: str | None) -> None:
    chat = await open_chat(agent_of(allowed_origins=[SHOP]))
    sentence, code = await refused(await hello(chat, origin, agent="desk"))
    assert "allowed_origins" in sentence
    assert code == 4403


async def test_pages_that_the_agent_allows_come_in(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(allowed_origins=["https://*.shop.example"]))
    page = await hello(chat, "https://www.shop.example", agent="desk")
    assert (await page.next())["event"] == "chat.connected"


async def test_our_own_page_needs_a_chat_channel(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(), agent_of("silent", channels=[]))
    assert (await (await hello(chat, chat.url, agent="desk")).next())["event"] == "chat.connected"
    assert (await refused(await hello(chat, chat.url, agent="silent")))[1] == 4403
    assert (await refused(await hello(chat, chat.url, agent="nobody")))[1] == 4404


async def test_behind_a_public_url_that_is_the_own_origin(open_chat: OpenChat) -> None:
    chat = await open_chat(public_url="https://chat.example")
    assert (await (await hello(chat, "https://chat.example", agent="desk")).next())["event"] == "chat.connected"
    assert (await refused(await hello(chat, chat.url, agent="desk")))[1] == 4403


async def test_a_widget_may_bring_a_token_instead(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await hello(chat, "https://anywhere.example", token=chat.token(user="42"))
    assert (await page.next())["event"] == "chat.connected"
    await page.says("m1", "hi")
    await page.hears("bot")
    (started,) = await chat.facts("call.started")
    assert started.metadata == {"user": "42"}


async def test_the_thread_of_a_token_is_whoever_signed_in_and_not_the_browser(open_chat: OpenChat) -> None:
    chat = await open_chat()
    ada = await hello(chat, None, token=chat.token(threadId="ada"))
    await ada.next()
    assert ada.visitor is None
    await ada.says("m1", "I am Ada")
    await ada.hears("bot")
    bob = await hello(chat, None, token=chat.token(threadId="bob"), visitor=ada.visitor, after=ada.cursor)
    assert (await bob.next())["event"] == "chat.connected"
    assert (await bob.next())["event"] == "chat.caught_up"
    again = await chat.own_page()
    assert "I am Ada" in str(await again.hello(token=chat.token(threadId="ada")))


async def test_an_identity_opens_nothing_by_itself_and_belongs_to_one_agent(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(), agent_of("other"))
    page = await chat.visitor()
    await page.says("m1", "for the desk")
    await page.hears("bot")
    assert (await refused(await hello(chat, chat.url, visitor=page.visitor)))[1] == 4401
    other = await chat.own_page()
    assert await other.hello(agent="other", visitor=page.visitor) == []
    assert other.visitor != page.visitor


@pytest.mark.parametrize("session", ["", "cts_x.y", "vis_x.y"])
async def test_a_session_that_we_did_not_give_is_over(open_chat: OpenChat, session: str) -> None:
    chat = await open_chat()
    assert (await refused(await hello(chat, chat.url, session=session)))[1] == 4401


@pytest.mark.parametrize(
    "text", ['{"event":"message","text":"hi"}', "no json", '{"event":"hello"}', '{"event":"other"}']
)
async def test_who_does_not_say_hello_is_told_how(open_chat: OpenChat, text: str) -> None:
    chat = await open_chat()
    page = await chat.own_page()
    await page.send_text(text)
    sentence, code = await refused(page)
    assert sentence
    assert code == 4401


async def test_conversations_without_a_key_are_rationed_by_address(open_chat: OpenChat) -> None:
    chat = await open_chat()
    for _ in range(10):
        assert (await (await hello(chat, chat.url, agent="desk")).next())["event"] == "chat.connected"
    sentence, code = await refused(await hello(chat, chat.url, agent="desk"))
    assert "try again in" in sentence
    assert code == 4429


async def test_organisations_do_not_meet(open_chat: OpenChat) -> None:
    theirs = agent_of(org="acme", name="Acme's desk", script=[{"when": ".*", "say": "Acme here."}])
    chat = await open_chat(agent_of(), theirs)
    ours = await hello(chat, chat.url, agent="desk")
    assert (await ours.next())["agent"]["name"] == "The Desk"
    acme = await hello(chat, chat.url, agent="desk", org="acme", visitor=ours.visitor)
    assert (await acme.next())["agent"]["name"] == "Acme's desk"
    await acme.says("m1", "hi")
    assert (await acme.hears("bot"))["text"] == "Acme here."
    assert len(await chat.calls(org="acme")) == 1
    assert await chat.calls() == []

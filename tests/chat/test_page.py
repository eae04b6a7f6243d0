"""The hosted page and the widget's script, as browsers and caches see them."""

from __future__ import annotations

import re

from tests.chat.conftest import OpenChat
from tests.chat.pages import agent_of


async def test_the_widget_is_one_small_script_of_ours(open_chat: OpenChat) -> None:
    chat = await open_chat()
    async with chat.http.get(f"{chat.url}/widget.js", headers={"Accept-Encoding": "identity"}) as answer:
        body = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "max-age" in answer.headers["Cache-Control"]
        etag = answer.headers["Etag"]
    assert len(body.encode()) < 26_500
    others = set(re.findall(r"https?://[a-z0-9.-]+", body)) - {"http://www.w3.org", "https://your-server"}
    assert not others
    assert "innerHTML" not in body
    async with chat.http.get(f"{chat.url}/widget.js", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
        assert await answer.read() == b""


async def test_the_page_runs_our_script_and_nothing_else(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(language="es", name='Tom & "Jerry" <b>'))
    async with chat.http.get(f"{chat.url}/chat/desk") as answer:
        body = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert f"connect-src 'self' ws://127.0.0.1:{chat.server.port}" in policy
    assert "unsafe" not in policy
    assert '<html lang="es">' in body
    assert 'data-name="Tom &amp; &quot;Jerry&quot; &lt;b&gt;"' in body
    assert body.count("<script") == 1


async def test_the_pages_policy_names_the_public_address(open_chat: OpenChat) -> None:
    chat = await open_chat(public_url="https://chat.example")
    async with chat.http.get(f"{chat.url}/chat/desk") as answer:
        assert "connect-src 'self' wss://chat.example" in answer.headers["Content-Security-Policy"]


async def test_only_agents_with_a_web_chat_have_a_page(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(), agent_of("silent", channels=[]), agent_of("theirs", org="acme"))
    for path, status in (
        ("desk", 200),
        ("silent", 404),
        ("nobody", 404),
        ("theirs", 200),
        ("theirs?org=acme", 200),
        ("theirs?org=default", 404),
        ("%3Cscript%3E", 404),
    ):
        async with chat.http.get(f"{chat.url}/chat/{path}") as answer:
            assert answer.status == status, path

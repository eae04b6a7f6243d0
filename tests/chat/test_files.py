"""Files in a chat: uploads with limits, part of a message, and addresses that nobody can make up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.chat.files import LINK_SECONDS, MAX_FILE, Files
from omni.model.message import Media, MediaKind, Message
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat, OwnPage

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 50


async def upload(
    chat: Chat, page: OwnPage, body: Any, mime: str, name: str = "photo.png"
) -> tuple[int, dict[str, Any]]:
    async with chat.http.post(
        f"{chat.url}/chat/api/files",
        params={"name": name},
        data=body,
        headers={"Authorization": f"Bearer {page.session}", "Content-Type": mime},
    ) as answer:
        return answer.status, await answer.json()


async def download(chat: Chat, url: str) -> tuple[int, bytes, Any]:
    async with chat.http.get(chat.url + url) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_a_picture_is_part_of_a_message_and_the_brain_hears_of_it(
    open_chat: OpenChat, engine: dict[str, Any]
) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.visitor()
    status, kept = await upload(chat, page, PNG, "image/png")
    assert (status, kept["kind"], kept["name"], kept["size"]) == (201, "image", "photo.png", len(PNG))
    await page.says("m1", "is it this one?", files=[kept["file"]])
    shown = await page.hears("user")
    media, text = shown["parts"]
    assert (media["type"], media["kind"], media["name"], text["text"]) == (
        "media",
        "image",
        "photo.png",
        "is it this one?",
    )
    assert (await page.hears("bot"))["text"] == "You said: [image photo.png]\nis it this one?"
    status, body, headers = await download(chat, media["url"])
    assert (status, body) == (200, PNG)
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"].startswith("inline")
    (fact,) = await chat.facts("user.message")
    (part, _) = fact.message.parts
    assert part.blob
    assert not part.is_pending


async def test_what_a_browser_could_run_is_only_saved(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    _, kept = await upload(chat, page, b"<script>alert(1)</script>", "text/plain", "note.html")
    await page.says("m1", "", files=[kept["file"]])
    (media,) = (await page.hears("user"))["parts"]
    _, _, headers = await download(chat, media["url"])
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


async def test_a_recording_is_fetched_like_any_channels(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    _, kept = await upload(chat, page, b"OggS" * 20, "audio/ogg; codecs=opus", "note.ogg")
    await page.says("m1", "", files=[kept["file"]])
    (media,) = (await page.hears("user"))["parts"]
    assert (await download(chat, media["url"]))[1] == b"OggS" * 20
    assert (await page.hears("bot"))["text"] == "You said: [audio note.ogg]"
    (ready,) = await chat.facts("media.ready")
    assert ready.media.problem is None
    assert ready.media.blob


@pytest.mark.parametrize(
    "mime", ["", "text/html", "image/svg+xml", "application/x-msdownload", "application/javascript"]
)
async def test_other_types_are_not_taken(open_chat: OpenChat, mime: str) -> None:
    chat = await open_chat()
    status, body = await upload(chat, await chat.visitor(), b"x", mime or "x")
    assert status == 415
    assert "not taken" in body["error"]


async def pour(chat: Chat, page: OwnPage, size: int, *, is_announced: bool) -> int:
    """Uploads so many bytes to their end, whatever the server says meanwhile; returns the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", chat.server.port)
    length = f"Content-Length: {size}" if is_announced else "Transfer-Encoding: chunked"
    head = f"POST /chat/api/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {page.session}\r\n"
    writer.write(f"{head}Content-Type: image/png\r\n{length}\r\n\r\n".encode())
    for start in range(0, size, 65_536):
        piece = b"x" * min(65_536, size - start)
        writer.write(piece if is_announced else f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    writer.write(b"" if is_announced else b"0\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


@pytest.mark.parametrize("is_announced", [True, False])
async def test_what_is_too_large_is_not_kept(open_chat: OpenChat, *, is_announced: bool) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    assert await pour(chat, page, MAX_FILE + 1, is_announced=is_announced) == 413
    assert await pour(chat, page, MAX_FILE, is_announced=is_announced) == 201


async def test_an_empty_file_is_not_kept(open_chat: OpenChat) -> None:
    chat = await open_chat()
    assert (await upload(chat, await chat.visitor(), b"", "image/png"))[0] == 400


async def test_another_visitors_upload_cannot_be_used(open_chat: OpenChat) -> None:
    chat = await open_chat()
    ada, eve = await chat.visitor(), await chat.visitor()
    _, kept = await upload(chat, ada, PNG, "image/png")
    await eve.says("m1", "mine", files=[kept["file"]])
    assert "not a file that you uploaded" in (await eve.sees("chat.refused"))["error"]


async def test_uploads_are_rationed(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    statuses = [(await upload(chat, page, PNG, "image/png"))[0] for _ in range(21)]
    assert statuses == [201] * 20 + [429]


@pytest.mark.parametrize("link", ["", "ctl_made.up", "ctf_made.up", "../../etc/passwd"])
async def test_made_up_addresses_lead_nowhere(open_chat: OpenChat, link: str) -> None:
    chat = await open_chat()
    assert (await download(chat, f"/chat/files/{link}"))[0] == 404


async def test_an_address_runs_out_and_is_the_same_until_then(open_chat: OpenChat) -> None:
    chat = await open_chat()
    now = 1_000_000.0
    files = Files(chat.engines.blobs, chat.access.sealer, clock=lambda: now)
    media = Media(kind=MediaKind.IMAGE, blob="b1", mime="image/png")
    url = files.url_of(media) or ""
    link = url.rpartition("/")[2]
    assert files.url_of(media) == url
    now += LINK_SECONDS
    assert files.link(link) is not None
    now += LINK_SECONDS
    assert files.link(link) is None


async def test_what_a_colleague_sends_is_shown(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.hears("bot")

    async def content() -> Any:
        yield PNG

    blob = await chat.engines.blobs.put("media-1", content(), mime="image/png", max_bytes=10_000)
    photo = Media(kind=MediaKind.IMAGE, blob=blob.key, mime="image/png", caption="This one")
    (call,) = await chat.calls()
    await chat.commands.send(call, "ada", Message(parts=(photo,)))
    (part,) = (await page.hears("human"))["parts"]
    assert part["caption"] == "This one"
    assert (await download(chat, part["url"]))[1] == PNG


async def test_a_link_of_the_bots_is_shown_only_when_it_is_safe(open_chat: OpenChat) -> None:
    chat = await open_chat()
    files = Files(chat.engines.blobs, chat.access.sealer)
    for url, shown in (("https://a.example/x.png", True), ("http://a.example/x.png", False), ("javascript:1", False)):
        assert (files.url_of(Media(kind=MediaKind.IMAGE, link=url)) == url) is shown

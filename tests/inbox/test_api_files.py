"""Files: what a colleague uploads is looked at and arrives, and what a customer sends harms nobody's browser."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest

from omni.gateway.inbox.sniffing import OCTETS, kind_of, sniffed, type_of
from omni.gateway.inbox.uploads import KEPT_SECONDS, LEASE_PREFIX, Sweeper
from omni.model.message import MediaKind
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import until
from tests.server.test_server_inbound import upload


def png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def test_an_upload_is_sent_with_its_caption(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    uploaded = await _upload(tess, row["id"], png(), "image/jpeg", "a%20picture.png")  # it lies about its type
    assert uploaded.status == 201
    assert (uploaded.body["kind"], uploaded.body["mime"], uploaded.body["filename"]) == (
        "image",
        "image/png",
        "a picture.png",
    )
    sent = await tess.send(row["id"], {"text": "look", "files": [uploaded.body["id"]]})
    assert sent.status == 202
    arrived = (await shop.arrived(2))[1]
    assert (arrived.type, arrived.body["image"]["caption"]) == ("image", "look")
    (said,) = await tess.told(row["id"], "human.message")
    (part,) = said["parts"]
    assert (part["type"], part["caption"], part["size"], part["pending"]) == ("media", "look", len(png()), False)
    assert "blob" not in part
    shown = await tess.ask("GET", part["url"])
    assert (shown.status, shown.body) == (200, png())
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["Content-Disposition"].startswith("inline")
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert await shop.engines.store.leases(LEASE_PREFIX, now=0) == []  # it is the message's now


async def test_several_files_are_several_messages_behind_the_text(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    ids = [(await _upload(tess, row["id"], png(), "image/png", f"{n}.png")).body["id"] for n in range(2)]
    body = {"text": "two of them", "files": [ids[0], {"id": ids[1], "caption": "the second"}]}
    for _ in range(2):
        assert (await tess.send(row["id"], body, "key-1")).status == 202
    arrived = await shop.arrived(4)
    await shop.quiet()
    assert [sent.type for sent in arrived] == ["text", "text", "image", "image"]
    assert arrived[3].body["image"]["caption"] == "the second"
    assert len(shop.simulator.sent()) == 4


async def test_what_a_channel_does_not_take_is_refused_before_it_is_kept(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    large = await _upload(tess, row["id"], png() + bytes(5 * 1024 * 1024), "image/png", "large.png")
    assert (large.status, large.error) == (413, "too_large")

    async def without_length() -> Any:
        yield png()
        for _ in range(6):
            yield bytes(1024 * 1024)

    streamed = await _upload(tess, row["id"], without_length(), "image/png", "large.png")
    assert (streamed.status, streamed.error) == (413, "too_large")
    lie = await _upload(tess, row["id"], b"not a picture", "image/png", "x.png")
    assert (lie.status, lie.body["error"]["field"]) == (422, "file")
    assert (await _upload(tess, row["id"], b"", "text/plain", "x.txt")).status == 422
    page = await _upload(tess, row["id"], SVG, "image/svg+xml", "x.svg")
    assert (page.status, page.body["kind"], page.body["mime"]) == (201, "document", OCTETS)
    mine = (await _upload(tess, row["id"], b"words", "text/plain", "../../etc/passwd")).body
    assert (mine["kind"], mine["filename"]) == ("document", "passwd")
    assert (await sam.send(row["id"], {"files": [mine["id"]]})).body["error"]["field"] == "files"
    assert (await tess.send(row["id"], {"files": [mine["id"][:-2]]})).body["error"]["field"] == "files"


async def test_a_customers_file_is_shown_only_if_it_can_run_nothing(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.does({"type": "image", "media_id": upload(shop, "image/png", png()), "caption": "see"})
    row = await tess.row(lambda row: row["last"]["from"] is not None)
    (said,) = await tess.told(row["id"], "user.message")
    url = await until(lambda: _url(tess, row["id"]))
    assert said["parts"][0]["caption"] == "see"
    whole = await tess.ask("GET", url)
    assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, png(), "image/png")
    some = await tess.ask("GET", url, headers={"Range": "bytes=1-3"})
    assert (some.status, some.body) == (206, b"PNG")
    assert some.headers["Content-Range"] == f"bytes 1-3/{len(png())}"
    last = await tess.ask("GET", url, headers={"Range": "bytes=-4"})
    assert (last.status, last.body) == (206, png()[-4:])
    assert (await tess.ask("GET", url, headers={"Range": f"bytes={len(png())}-"})).status == 416
    head = await tess.ask("HEAD", url)
    assert (head.status, head.body) == (200, b"")


async def test_a_customers_script_is_saved_and_not_shown(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.does({"type": "image", "media_id": upload(shop, "image/png", SVG)})
    row = await tess.row(lambda row: row["last"]["from"] is not None)
    shown = await tess.ask("GET", await until(lambda: _url(tess, row["id"])))
    assert shown.body == SVG
    assert shown.headers["Content-Type"] == OCTETS
    assert shown.headers["Content-Disposition"].startswith("attachment")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"


async def test_uploads_that_were_not_sent_are_deleted(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    sent = (await _upload(tess, row["id"], b"sent", "text/plain", "a.txt")).body["id"]
    kept = (await _upload(tess, row["id"], b"kept", "text/plain", "b.txt")).body["id"]
    await tess.send(row["id"], {"files": [sent]})
    store, blobs = shop.engines.store, shop.engines.blobs
    (lease,) = await store.leases(LEASE_PREFIX, now=0)
    at = float(str(lease.data["at"]))
    assert await Sweeper(store, blobs, lambda: at + KEPT_SECONDS - 1).sweep() == 0
    assert await Sweeper(store, blobs, lambda: at + KEPT_SECONDS).sweep() == 1
    assert await store.leases(LEASE_PREFIX, now=0) == []
    assert "uploaded more than a day ago" in str((await tess.send(row["id"], {"files": [kept]})).body)
    (said,) = await tess.told(row["id"], "human.message")
    assert (await tess.ask("GET", said["parts"][0]["url"])).body == b"sent"


@pytest.mark.parametrize(
    ("head", "claimed", "mime"),
    [
        (png(), "text/plain", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/png", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "", "audio/wav"),
        (b"OggS\0", "audio/ogg; codecs=opus", "audio/ogg"),
        (b"\x1aE\xdf\xa3", "audio/webm;codecs=opus", "audio/webm"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x18ftypisom", "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x18ftypisom", "video/quicktime", "video/mp4"),
        (b"\0\0\0\x18ftyp3gp5", "", "video/3gpp"),
        (b"\xff\xfb\x90", "audio/mpeg", "audio/mpeg"),
        (b"\xff\xf1\x50", "", "audio/aac"),
        (b"%PDF-1.7", "", "application/pdf"),
        (b"a,b\n1,2\n", "text/csv", "text/csv"),
        ("ñandú".encode(), "", "text/plain"),
        ("ñ".encode()[:1], "", "text/plain"),
        (b"\xff\xfe\0x", "text/plain", OCTETS),
        (SVG, "text/plain", OCTETS),
        (b"  <HTML>", "text/plain", OCTETS),
        (b"PK\x03\x04", "application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        (b"PK\x03\x04", "application/x-evil", OCTETS),
        (b"MZ\x90\0", "application/pdf", OCTETS),
    ],
)
def test_a_files_type_is_what_its_bytes_say(head: bytes, claimed: str, mime: str) -> None:
    assert type_of(head, claimed) == mime


@pytest.mark.parametrize("claimed", ["image/png", "audio/mpeg", "video/mp4"])
def test_a_lie_about_a_picture_is_refused(claimed: str) -> None:
    with pytest.raises(ValueError, match="choose another file"):
        type_of(b"words", claimed)


def test_a_drawing_with_scripts_is_a_document() -> None:
    assert kind_of("image/svg+xml") is MediaKind.DOCUMENT
    assert sniffed(SVG) is None


async def _upload(who: Any, conversation: str, content: Any, mime: str, name: str) -> Any:
    headers = {"Content-Type": mime, "X-Filename": name}
    body = io.BytesIO(content) if isinstance(content, bytes) else content
    return await who.ask("POST", f"/uploads?conversation={conversation}", None, data=body, headers=headers)


async def _url(who: Any, conversation: str) -> str | None:
    (said,) = await who.items(conversation, "user.message")
    url: str | None = said["parts"][0]["url"]
    return url

"""Blobs: all of a stream or nothing, under a generated name, in pieces out again."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omni.blobs.base import Blob, BlobError, Blobs, BlobTooLargeError

CAP = 10_000_000


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


async def content_of(blobs: Blobs, key: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(key)])


async def put(blobs: Blobs, key: str, *content: bytes, mime: str | None = None, max_bytes: int = CAP) -> Blob:
    return await blobs.put(key, pieces(*content), mime=mime, max_bytes=max_bytes)


async def test_a_blob_is_read_as_it_was_put(blobs: Blobs) -> None:
    content = [bytes(range(256)), b"", b"\0" * 1_000, "é👩‍👩‍👧".encode()]
    blob = await put(blobs, "blob_1", *content, mime='image/jpeg; x="ü"')
    whole = b"".join(content)
    assert blob == Blob("blob_1", len(whole), hashlib.sha256(whole).hexdigest(), 'image/jpeg; x="ü"')
    assert await blobs.get("blob_1") == blob
    assert await content_of(blobs, "blob_1") == whole
    await blobs.ping()


async def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    blob = await put(blobs, "empty")
    assert (blob.size, blob.mime, blob.sha256) == (0, None, hashlib.sha256(b"").hexdigest())
    assert await blobs.get("empty") == blob
    assert await content_of(blobs, "empty") == b""


async def test_a_large_blob_goes_through_in_pieces(blobs: Blobs) -> None:
    piece = bytes(range(256)) * 400
    blob = await put(blobs, "large", *[piece] * 21)
    assert blob.size == len(piece) * 21
    sizes = []
    digest = hashlib.sha256()
    async for part in blobs.read("large"):
        sizes.append(len(part))
        digest.update(part)
    assert digest.hexdigest() == blob.sha256
    assert len(sizes) > 1
    assert max(sizes) < blob.size


async def test_a_key_that_is_put_again_is_replaced(blobs: Blobs) -> None:
    await put(blobs, "key", b"first, and longer", mime="text/plain")
    second = await put(blobs, "key", b"second")
    assert await blobs.get("key") == second
    assert await content_of(blobs, "key") == b"second"
    assert await blobs.delete("key")
    assert await blobs.get("key") is None


async def test_the_cap_is_the_last_size_that_fits(blobs: Blobs) -> None:
    assert (await put(blobs, "fits", b"12345", b"67890", max_bytes=10)).size == 10
    with pytest.raises(BlobTooLargeError):
        await put(blobs, "over", b"12345", b"678901", max_bytes=10)
    assert await blobs.get("over") is None
    with pytest.raises(BlobError):
        await content_of(blobs, "over")


async def test_a_failed_put_leaves_what_was_there(blobs: Blobs) -> None:
    first = await put(blobs, "key", b"first")
    with pytest.raises(BlobTooLargeError):
        await put(blobs, "key", b"x" * 100, b"x" * 1_000_000, max_bytes=101)
    assert await blobs.get("key") == first
    assert await content_of(blobs, "key") == b"first"


async def test_a_stream_that_breaks_leaves_nothing(blobs: Blobs) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise ConnectionResetError("the provider hung up")

    with pytest.raises(ConnectionResetError):
        await blobs.put("broken", breaks(), mime=None, max_bytes=CAP)
    assert await blobs.get("broken") is None
    assert not await blobs.delete("broken")


async def test_a_put_that_is_cancelled_leaves_nothing(blobs: Blobs) -> None:
    waits = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        waits.set()
        await asyncio.Event().wait()

    putting = asyncio.ensure_future(blobs.put("cancelled", hangs(), mime=None, max_bytes=CAP))
    await waits.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await blobs.get("cancelled") is None


async def test_what_is_not_there(blobs: Blobs) -> None:
    assert await blobs.get("none") is None
    assert not await blobs.delete("none")
    with pytest.raises(BlobError):
        await content_of(blobs, "none")


async def test_a_deleted_blob_is_gone(blobs: Blobs) -> None:
    await put(blobs, "key", b"x")
    await put(blobs, "other", b"y")
    assert await blobs.delete("key")
    assert await blobs.get("key") is None
    assert not await blobs.delete("key")
    assert await content_of(blobs, "other") == b"y"


@pytest.mark.parametrize("key", ["", "../up", "a/b", "a.b", "a b", "é", "a\0", "x" * 129, "key\n"])
async def test_a_key_from_outside_is_refused(blobs: Blobs, key: str) -> None:
    with pytest.raises((BlobError, ValueError)):
        await put(blobs, key, b"x")


async def test_keys_differ_by_case_and_may_be_long(blobs: Blobs) -> None:
    for key in ("key", "KEY", "x" * 128, "-_-"):
        await put(blobs, key, key.encode())
    for key in ("key", "KEY", "x" * 128, "-_-"):
        assert await content_of(blobs, key) == key.encode()


async def test_many_puts_at_once(blobs: Blobs) -> None:
    await asyncio.gather(*(put(blobs, f"key{n}", f"{n}".encode() * 1_000) for n in range(12)))
    for n in range(12):
        assert await content_of(blobs, f"key{n}") == f"{n}".encode() * 1_000


async def test_puts_of_one_key_at_once_leave_one_of_them_whole(blobs: Blobs) -> None:
    contents = [f"{n}".encode() * 400_000 for n in range(4)]
    await asyncio.gather(*(put(blobs, "key", content) for content in contents))
    blob = await blobs.get("key")
    assert blob is not None
    kept = await content_of(blobs, "key")
    assert kept in contents
    assert hashlib.sha256(kept).hexdigest() == blob.sha256
    assert await blobs.delete("key")
    assert await blobs.get("key") is None


async def test_a_reader_may_stop_early(blobs: Blobs) -> None:
    await put(blobs, "key", *[b"x" * 300_000] * 4)
    reading: Any = blobs.read("key")
    assert await anext(reading)
    await reading.aclose()
    assert await content_of(blobs, "key") == b"x" * 1_200_000


async def test_the_digest_is_lower_case_hex(blobs: Blobs) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", (await put(blobs, "key", b"x")).sha256)


async def test_all_are_listed_each_once_as_it_is_now(blobs: Blobs) -> None:
    kept = [await blobs.put(key, pieces(key.encode()), mime=None, max_bytes=9) for key in ("a", "A", "media-0")]
    await blobs.put("a", pieces(b"before"), mime=None, max_bytes=9)
    again = await blobs.put("a", pieces(b"after"), mime="text/plain", max_bytes=9)
    await blobs.put("gone", pieces(b"x"), mime=None, max_bytes=9)
    await blobs.delete("gone")
    found = [blob async for blob in blobs.all()]
    assert sorted(found, key=lambda blob: blob.key) == sorted([again, *kept[1:]], key=lambda blob: blob.key)

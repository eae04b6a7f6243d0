"""Blobs in a folder: what is on the disk, who may read it, and what a crash leaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omni.blobs.base import BlobError
from omni.blobs.folder import FolderBlobs


@pytest.fixture
async def blobs(tmp_path: Path) -> FolderBlobs:
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.open()
    return blobs


async def content(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


async def test_files_are_their_owners_alone(blobs: FolderBlobs, tmp_path: Path) -> None:
    await blobs.put("key", content(b"private"), mime=None, max_bytes=100)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


async def test_replaced_deleted_and_refused_content_leaves_no_file(blobs: FolderBlobs, tmp_path: Path) -> None:
    for text in (b"first", b"second", b"third"):
        await blobs.put("key", content(text), mime=None, max_bytes=100)
    assert len(files(tmp_path)) == 2, "the content and its label"
    with pytest.raises(BlobError):
        await blobs.put("key", content(b"x" * 101), mime=None, max_bytes=100)
    assert len(files(tmp_path)) == 2
    await blobs.delete("key")
    assert files(tmp_path) == []


async def test_content_without_a_label_does_not_count(blobs: FolderBlobs, tmp_path: Path) -> None:
    """A crash between the two leaves it."""
    await blobs.put("key", content(b"whole"), mime=None, max_bytes=100)
    [label] = [path for path in files(tmp_path) if path.suffix == ".json"]
    label.unlink()
    assert await blobs.get("key") is None
    assert not await blobs.delete("key")
    await blobs.put("key", content(b"again"), mime=None, max_bytes=100)
    assert b"".join([piece async for piece in blobs.read("key")]) == b"again"


async def test_a_reader_keeps_what_it_reads_while_it_is_replaced(blobs: FolderBlobs) -> None:
    await blobs.put("key", content(b"a" * 600_000), mime=None, max_bytes=10**6)
    read = b""
    async for piece in blobs.read("key"):
        read += piece
        await blobs.put("key", content(b"b" * 1000), mime=None, max_bytes=10**6)
    assert read == b"a" * 600_000


async def test_a_put_that_is_cancelled_anywhere_is_whole_or_not_there(blobs: FolderBlobs, tmp_path: Path) -> None:
    for turns in range(0, 60, 4):
        whole = b"x" * 300_000
        putting = asyncio.ensure_future(
            blobs.put(f"key{turns}", content(whole, whole), mime="image/png", max_bytes=10**6)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        putting.cancel()
        await asyncio.wait([putting])
        blob = await blobs.get(f"key{turns}")
        if blob is not None:
            assert blob.sha256 == hashlib.sha256(whole * 2).hexdigest()
            assert await blobs.delete(f"key{turns}")
    assert files(tmp_path) == []


async def test_a_damaged_label_is_a_sentence(blobs: FolderBlobs, tmp_path: Path) -> None:
    await blobs.put("key", content(b"x"), mime=None, max_bytes=100)
    [label] = [path for path in files(tmp_path) if path.suffix == ".json"]
    label.write_text("{}")
    with pytest.raises(BlobError, match="damaged"):
        await blobs.get("key")


async def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BlobError, match="cannot be created"):
        await FolderBlobs(tmp_path / "file" / "blobs").open()
    with pytest.raises(BlobError, match="folder"):
        await FolderBlobs(tmp_path / "never opened").ping()


@pytest.mark.parametrize("key", ["media-0123abcdef", "dl_01K5Z3V8QJ9N2M4P6R7T0WXYAB"])
async def test_a_label_of_an_earlier_release_is_listed_under_its_key(
    blobs: FolderBlobs, tmp_path: Path, key: str
) -> None:
    blob = await blobs.put(key, content(b"x"), mime=None, max_bytes=9)
    [label] = [path for path in files(tmp_path) if path.suffix == ".json"]
    known = json.loads(label.read_text())
    del known["key"]
    label.write_text(json.dumps(known))
    assert [found async for found in blobs.all()] == [blob]


async def test_a_key_that_cannot_be_told_is_an_error(blobs: FolderBlobs, tmp_path: Path) -> None:
    await blobs.put("Odd", content(b"x"), mime=None, max_bytes=9)
    [label] = [path for path in files(tmp_path) if path.suffix == ".json"]
    label.write_text(json.dumps({**json.loads(label.read_text()), "key": None}))
    with pytest.raises(BlobError, match="its key cannot be told"):
        [found async for found in blobs.all()]

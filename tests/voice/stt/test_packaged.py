"""A model in two packages: joined once, checked each time, by as many processes as like."""

from __future__ import annotations

import concurrent.futures
import hashlib
import importlib.util
import multiprocessing
from pathlib import Path

import pytest

from workers.voice.stt import packaged
from workers.voice.stt.base import SttError
from workers.voice.stt.packaged import Part, joined

WHOLE = bytes(range(256)) * 9_000


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    halves = tmp_path / "model.part1", tmp_path / "model.part2"
    halves[0].write_bytes(WHOLE[:1_500_000])
    halves[1].write_bytes(WHOLE[1_500_000:])
    return {"model.bin": Part(halves, hashlib.sha256(WHOLE).hexdigest())}


def test_the_parts_are_joined_and_nothing_else_is_left(parts, tmp_path):
    folder = joined(parts, tmp_path / "cache" / "model")
    assert [file.name for file in folder.iterdir()] == ["model.bin"]
    assert (folder / "model.bin").read_bytes() == WHOLE


def test_what_is_whole_is_not_written_again(parts, tmp_path):
    first = (joined(parts, tmp_path / "cache") / "model.bin").stat()
    again = (joined(parts, tmp_path / "cache") / "model.bin").stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


@pytest.mark.parametrize("damage", [b"", WHOLE[:-1], WHOLE[:-1] + b"\0"])
def test_what_is_damaged_is_made_again(parts, tmp_path, damage):
    file = joined(parts, tmp_path / "cache") / "model.bin"
    file.write_bytes(damage)
    joined(parts, tmp_path / "cache")
    assert file.read_bytes() == WHOLE


def test_another_model_than_the_known_one_is_refused_and_not_kept(parts, tmp_path):
    parts["model.bin"].pieces[1].write_bytes(WHOLE[1_500_000:][::-1])
    with pytest.raises(SttError, match=r"install version 1\.0\.0 of both again"):
        joined(parts, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_sentence(parts, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SttError, match="XDG_CACHE_HOME"):
        joined(parts, tmp_path / "file" / "cache")


def test_missing_packages_are_a_sentence_with_the_mend(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not packaged.is_installed()
    with pytest.raises(SttError, match=r"local-speech.*OMNI_STT_MODEL"):
        packaged.model_folder()


@pytest.mark.parametrize(("xdg", "expected"), [("/somewhere", "/somewhere/omni"), ("relative", None), ("", None)])
def test_the_cache_is_where_the_system_wants_it(monkeypatch, xdg, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert packaged.cache_folder() == Path(expected or Path.home() / ".cache" / "omni")


def test_several_processes_may_join_at_once(parts, tmp_path):
    with concurrent.futures.ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as processes:
        folders = set(processes.map(joined, [parts] * 8, [tmp_path / "cache"] * 8))
    (folder,) = folders
    assert [file.name for file in folder.iterdir()] == ["model.bin"]
    assert (folder / "model.bin").read_bytes() == WHOLE

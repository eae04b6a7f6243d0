"""WAV files of other people, and our own."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.audio.g711 import pcm_to_alaw, pcm_to_mulaw
from omni.audio.pcm import interleave
from omni.audio.wav import WavError, WavWriter, read_wav, wav_header, wav_of
from tests.audio.sounds import noise, pitch, sine, wave_of

TONE = sine(440, 500, level=0.5)


def riff(code: int, bits: int, body: bytes, *, channels: int = 1, rate: int = 8000, more: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits) + more
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk, with the byte that fills it up
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def wide(bits: int) -> bytes:
    """The tone as integers of so many bits."""
    ints = np.frombuffer(TONE, "<i2").astype(np.int64) << bits - 16 if bits > 16 else None
    if bits == 8:
        return (np.frombuffer(TONE, "<i2") // 256 + 128).astype(np.uint8).tobytes()
    if ints is None:
        return TONE
    size = bits // 8
    return ints.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size].tobytes()


def floats(kind: str) -> bytes:
    return wave_of(TONE).astype(kind).tobytes()


EXTENSIBLE = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")


@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        pytest.param(riff(1, 8, wide(8)), 0.01, id="8 bits"),
        pytest.param(riff(1, 16, wide(16)), 0, id="16 bits"),
        pytest.param(riff(1, 24, wide(24)), 0, id="24 bits"),
        pytest.param(riff(1, 32, wide(32)), 0, id="32 bits"),
        pytest.param(riff(3, 32, floats("<f4")), 0, id="float"),
        pytest.param(riff(3, 64, floats("<f8")), 0, id="double"),
        pytest.param(riff(6, 8, pcm_to_alaw(TONE)), 0.016, id="A-law"),
        pytest.param(riff(7, 8, pcm_to_mulaw(TONE)), 0.016, id="mu-law"),
        pytest.param(riff(0xFFFE, 16, TONE, more=EXTENSIBLE), 0, id="extensible"),
        pytest.param(riff(1, 16, interleave(TONE, TONE), channels=2), 0, id="stereo"),
    ],
)
def test_every_kind_of_wav_is_the_same_sound(file: bytes, tolerance: float) -> None:
    sound, rate = read_wav(file)
    assert rate == 8000
    assert len(sound) == len(TONE)
    assert np.abs(wave_of(sound) - wave_of(TONE)).max() <= tolerance


def test_channels_are_averaged() -> None:
    sound, _ = read_wav(wav_of(interleave(TONE, bytes(len(TONE))), 8000, channels=2))
    assert np.abs(wave_of(sound) - wave_of(TONE) / 2).max() < 0.0001


def test_a_file_of_another_rate_comes_at_the_one_that_is_wanted() -> None:
    sound, rate = read_wav(wav_of(sine(440, 500, 44100), 44100), 8000)
    assert rate == 8000
    assert len(sound) / 16000 == pytest.approx(0.5, abs=0.001)
    assert pitch(sound, 8000) == pytest.approx(440, abs=3)


def test_a_file_that_was_cut_off_is_as_long_as_it_is() -> None:
    sound, _ = read_wav(wav_of(TONE, 8000)[:-1001])
    assert sound == TONE[: len(TONE) - 1002]


def test_loud_floats_are_cut_off_at_full_scale() -> None:
    sound, _ = read_wav(riff(3, 32, np.array([2, -2, np.nan, np.inf], "<f4").tobytes()))
    assert np.frombuffer(sound, "<i2").tolist() == [32767, -32768, 0, 32767]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04 this is an mp3", "not a WAV file"),
        (wav_of(TONE, 8000)[:40], "ends before its sound begins"),
        (riff(17, 4, bytes(100)), "format 0x0011 with 4 bits; convert it to PCM"),
        (riff(1, 16, TONE, channels=0), "0 channels"),
        (riff(1, 16, TONE, rate=3), "3 samples a second"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0\0\0\0\0", "sound before its format"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\0\0\0\0", "in 4 bytes instead of 16"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_be_read_is_told_in_a_sentence(file: bytes, sentence: str) -> None:
    with pytest.raises(WavError, match=sentence):
        read_wav(file)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 60), st.binary(max_size=4))
def test_no_file_does_worse_than_a_wav_error(tail: bytes, at: int, patch: bytes) -> None:
    file = bytearray(riff(1, 16, tail))
    file[at : at + len(patch)] = patch
    try:
        sound, _ = read_wav(bytes(file))
    except WavError:
        return
    assert len(sound) % 2 == 0


def read_by_python(file: bytes) -> tuple[Any, bytes]:
    with wave.open(io.BytesIO(file)) as opened:
        return opened.getparams()[:4], opened.readframes(opened.getnframes())


@pytest.mark.parametrize("channels", [1, 2])
def test_others_read_what_we_write(channels: int) -> None:
    sound = noise(100)
    params, read = read_by_python(wav_of(sound, 16000, channels))
    assert params == (channels, 2, 16000, len(sound) // 2 // channels)
    assert read == sound


def test_a_file_that_grew_knows_its_length_in_the_end() -> None:
    file = io.BytesIO(b"before")
    file.seek(0, 2)
    writer = WavWriter(file, 8000)
    for _ in range(3):
        writer.write(TONE)
    writer.finish()
    assert file.getvalue() == b"before" + wav_of(TONE * 3, 8000)
    assert file.tell() == len(file.getvalue())
    assert writer.size == len(TONE) * 3


def test_a_file_that_still_grows_can_be_read() -> None:
    file = io.BytesIO()
    WavWriter(file, 8000).write(TONE)
    assert file.getvalue()[:44] == wav_header(8000)
    assert read_wav(file.getvalue()) == (TONE, 8000)


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_what_cannot_seek_keeps_the_header_of_a_stream() -> None:
    file = Pipe()
    writer = WavWriter(file, 8000)
    writer.write(TONE)
    writer.finish()
    assert file.getvalue() == wav_header(8000) + TONE


def test_more_than_a_header_can_say_is_said_as_the_most() -> None:
    assert struct.unpack_from("<I", wav_header(8000, size=5_000_000_000), 40)[0] == 0xFFFFFFFF - 44

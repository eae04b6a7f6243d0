"""G.711 as FFmpeg, which did not read our formulas, has it."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest

from omni.audio.g711 import ALAW_SILENCE, MULAW_SILENCE, alaw_to_pcm, mulaw_to_pcm, pcm_to_alaw, pcm_to_mulaw

LAWS = [
    pytest.param("pcm_mulaw", mulaw_to_pcm, pcm_to_mulaw, id="mu-law"),
    pytest.param("pcm_alaw", alaw_to_pcm, pcm_to_alaw, id="A-law"),
]
Conversion = Callable[[bytes], bytes]


@pytest.mark.parametrize(("codec", "decode", "_encode"), LAWS)
def test_every_code_means_what_it_means_to_others(codec: str, decode: Conversion, _encode: Conversion) -> None:
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    codes = bytes(range(256))
    theirs = b"".join(frame.to_ndarray().tobytes() for frame in decoder.decode(av.Packet(codes)))
    assert decode(codes) == theirs


@pytest.mark.parametrize(("_codec", "decode", "encode"), LAWS)
def test_sound_that_went_through_once_goes_through_again_unchanged(
    _codec: str, decode: Conversion, encode: Conversion
) -> None:
    once = decode(bytes(range(256)))
    assert decode(encode(once)) == once


@pytest.mark.parametrize(("_codec", "decode", "encode"), LAWS)
def test_every_sample_is_off_by_half_a_step_at_most(_codec: str, decode: Conversion, encode: Conversion) -> None:
    samples = np.arange(-32635, 32636)
    decoded = np.frombuffer(decode(encode(samples.astype("<i2").tobytes())), "<i2").astype(int)
    # A step doubles with every segment: from 8 (mu-law) or 16 (A-law) to 1024 at full scale.
    half_a_step = np.maximum(2.0 ** np.floor(np.log2(np.abs(samples) + 132.0)) / 32, 8)
    assert (np.abs(decoded - samples) <= half_a_step).all()


@pytest.mark.parametrize(("_codec", "decode", "encode"), LAWS)
def test_the_loudest_samples_become_the_loudest_levels(_codec: str, decode: Conversion, encode: Conversion) -> None:
    levels = np.frombuffer(decode(bytes(range(256))), "<i2")
    ends = np.array([-32768, -32767, 32767], "<i2")
    heard = np.frombuffer(decode(encode(ends.tobytes())), "<i2")
    assert heard.tolist() == [levels.min(), levels.min(), levels.max()]


def test_nothing_is_the_silence_byte() -> None:
    assert pcm_to_mulaw(bytes(320)) == MULAW_SILENCE * 160
    assert pcm_to_alaw(bytes(320)) == ALAW_SILENCE * 160
    assert mulaw_to_pcm(MULAW_SILENCE) == b"\0\0"
    assert abs(int.from_bytes(alaw_to_pcm(ALAW_SILENCE), "little", signed=True)) == 8  # A-law has no zero


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        pcm_to_mulaw(b"\0\0\0")

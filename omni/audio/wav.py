"""WAV files (RIFF/WAVE, Microsoft "Multiple Channel Audio Data and WAVE Files", RFC 2361 for the codes of formats).

Whatever people have is read: PCM of 8, 16, 24 and 32 bits, floats, mu-law and A-law, any number of channels, files that
were cut off or written by somebody who did not know their length. Written is 16-bit PCM.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from omni.audio import g711

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_UNKNOWN_SIZE: Final = 0xFFFFFFFF  # what a writer puts down that cannot go back: "up to the end"
_HEADER_BYTES: Final = 44

_Numbers = npt.NDArray[np.floating[Any]]


class WavError(ValueError):
    """A file that cannot be read. The text is a sentence for whoever gave it."""


@dataclass(frozen=True, slots=True)
class _Format:
    code: int
    channels: int
    rate: int
    bits: int


def read_wav(file: bytes, rate: int | None = None) -> tuple[bytes, int]:
    """The sound of a WAV file as 16-bit mono at `rate` (None: at its own), and that rate. Channels are averaged.

    Blocks for about 1 ms per second of sound: a long file belongs in a thread. Raises WavError.
    """
    form, body = _parts(file)
    pcm = _mono(_numbers(form, body), form.channels)
    if rate is None or rate == form.rate:
        return pcm, form.rate
    from omni.audio.resample import resampled  # PyAV takes 0.15 s to import, and who only writes needs none

    return resampled(pcm, form.rate, rate), rate


def wav_header(rate: int, channels: int = 1, size: int | None = None) -> bytes:
    """The 44 bytes before 16-bit PCM of `size` bytes; None when nobody knows yet how many come (a stream)."""
    length = _UNKNOWN_SIZE if size is None else min(size, _UNKNOWN_SIZE - _HEADER_BYTES)
    whole = _UNKNOWN_SIZE if size is None else length + (length & 1) + _HEADER_BYTES - 8
    block = channels * 2
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", whole, b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, rate, rate * block, block, 16),
        *(b"data", length),
    )


def wav_of(pcm: bytes, rate: int, channels: int = 1) -> bytes:
    """A whole file. Stereo is interleaved (`pcm.interleave`)."""
    return wav_header(rate, channels, len(pcm)) + pcm


class WavWriter:
    """A WAV that grows: a player may follow it from its first byte, and its header is right once it is finished.

    The file stays its owner's, who closes it. One that cannot seek (a socket) keeps the header of a stream.
    """

    def __init__(self, file: BinaryIO, rate: int, channels: int = 1) -> None:
        self._file = file
        self._rate = rate
        self._channels = channels
        self._start = file.tell() if file.seekable() else None
        self.size = 0
        """Bytes of sound so far."""
        file.write(wav_header(rate, channels))

    def write(self, pcm: bytes) -> None:
        """16-bit PCM; stereo is interleaved."""
        self._file.write(pcm)
        self.size += len(pcm)

    def finish(self) -> None:
        """Write down the length. The file is left at its end."""
        if self._start is None:
            return
        self._file.seek(self._start)
        self._file.write(wav_header(self._rate, self._channels, self.size))
        self._file.seek(0, 2)


def _parts(file: bytes) -> tuple[_Format, bytes]:
    if len(file) < 12 or file[:4] not in {b"RIFF", b"RF64"} or file[8:12] != b"WAVE":
        raise WavError("this is not a WAV file: it does not begin with RIFF … WAVE; convert it to WAV (16-bit PCM)")
    form: _Format | None = None
    at = 12
    while at + 8 <= len(file):
        name, size = struct.unpack_from("<4sI", file, at)
        at += 8
        if name == b"data":
            if form is None:
                raise WavError("this WAV file has sound before its format; write it again with another program")
            return form, file[at : at + size]  # one that was cut off, or streamed, is as long as it is
        if name == b"fmt ":
            form = _format(file[at : at + size])
        at += size + (size & 1)
    raise WavError("this WAV file ends before its sound begins; it was probably cut off while it was copied")


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise WavError(f"this WAV file describes its format in {len(chunk)} bytes instead of 16; it is damaged")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and len(chunk) >= 26:
        (code,) = struct.unpack_from("<H", chunk, 24)  # the real one is the beginning of a GUID
    if not 1 <= channels <= 32 or not 1_000 <= rate <= 768_000:
        raise WavError(f"this WAV file says it has {channels} channels at {rate} samples a second; it is damaged")
    return _Format(code, channels, rate, bits)


def _numbers(form: _Format, body: bytes) -> _Numbers:
    """The samples, 1.0 being full scale."""
    bits = form.bits
    body = body[: len(body) - len(body) % max(bits // 8 * form.channels, 1)]
    match form.code, bits:
        case (1, 8):
            return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
        case (1, 16):
            return np.frombuffer(body, "<i2").astype(np.float32) / 2**15
        case (1, 24):
            high = np.frombuffer(body, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(high), 4), np.uint8)
            wide[:, 1:] = high
            return wide.view("<i4")[:, 0].astype(np.float32) / 2**31
        case (1, 32):
            return np.frombuffer(body, "<i4").astype(np.float32) / 2**31
        case (3, 32 | 64):
            return np.frombuffer(body, f"<f{bits // 8}").astype(np.float32)
        case (6, 8):
            return np.frombuffer(g711.alaw_to_pcm(body), "<i2").astype(np.float32) / 2**15
        case (7, 8):
            return np.frombuffer(g711.mulaw_to_pcm(body), "<i2").astype(np.float32) / 2**15
    raise WavError(
        f"this WAV file holds format {form.code:#06x} with {bits} bits; "
        "convert it to PCM (8, 16, 24 or 32 bits), float, mu-law or A-law"
    )


def _mono(numbers: _Numbers, channels: int) -> bytes:
    if channels > 1:
        numbers = numbers.reshape(-1, channels).mean(axis=1)
    whole = np.rint(np.nan_to_num(numbers, posinf=1.0, neginf=-1.0) * 2**15)
    return whole.clip(-(2**15), 2**15 - 1).astype("<i2").tobytes()

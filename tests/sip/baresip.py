"""baresip, a real telephone: told what to do over its control socket, with a file for a microphone, and what it hears
kept in another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sip.board import until

CONFIG = """
poll_method epoll
sip_listen {listen}
{tls}
audio_player aufile,{folder}/played.wav
audio_source aufile,{folder}/said.wav
audio_alert aufile,{folder}/alert.wav
audio_srate 8000
audio_channels 1
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
audio_level no
audio_txmode thread
rtp_tos 184
rtp_ports {rtp}-{rtp_last}
rtcp_enable yes
jitter_buffer_delay 1-5
rtp_stats yes
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
{srtp}
snd_path {folder}
ctrl_tcp_listen 127.0.0.1:{control}
"""


@dataclass
class Phone:
    folder: Path
    port: int
    writer: asyncio.StreamWriter
    events: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    async def do(self, command: str, params: str = "") -> dict[str, Any]:
        text = json.dumps({"command": command, "params": params, "token": str(len(self.answers))}).encode()
        count = len(self.answers)
        self.writer.write(f"{len(text)}:".encode() + text + b",")
        await until(lambda: len(self.answers) > count, f"baresip has done {command}")
        return self.answers[-1]

    async def saw(self, kind: str) -> dict[str, Any]:
        await until(lambda: any(each.get("type") == kind for each in self.events), f"{kind} in {self.events}")
        return next(each for each in self.events if each.get("type") == kind)

    async def registered(self) -> None:
        """Its events may have come before anybody asked for them."""
        await until(lambda: "SIP/2.0 200 OK" in (self.folder / "log").read_text(errors="replace"), "it is registered")

    def heard(self) -> bytes:
        """What it has heard in all, as 16-bit PCM at 8,000 samples a second."""
        files = sorted(self.folder.glob("dump-*-dec.wav"))
        assert files, list(self.folder.iterdir())
        data = files[-1].read_bytes()
        return data[data.index(b"data") + 8 :]


def write_wav(file: Path, pcm: bytes, rate: int = 8000) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)


def modules() -> str:
    found = [
        each.parent
        for root in ("/usr/lib", "/usr/local/lib")
        for each in [*Path(root).glob("baresip/modules/g711.so"), *Path(root).glob("*/baresip/modules/g711.so")]
    ]
    assert found, "baresip has no modules; apt install baresip-core"
    return str(found[0])


@contextlib.asynccontextmanager
async def phone(
    program: str,
    folder: Path,
    said: bytes,
    *,
    port: int,
    control: int,
    rtp: int,
    account: str,
    transport: str = "udp",
    srtp: bool = False,
    certificate: Path | None = None,
) -> AsyncIterator[Phone]:
    """`account` is its line in the accounts file; `said` what its microphone hears."""
    folder.mkdir(exist_ok=True)
    write_wav(folder / "said.wav", said)
    tls = ""
    if certificate is not None:
        tls = f"sip_certificate {certificate}\nsip_cafile {certificate}"
    config = CONFIG.format(
        listen=f"127.0.0.1:{port}", tls=tls, folder=folder, rtp=rtp, rtp_last=rtp + 20, modules=modules(),
        srtp="module srtp.so" if srtp else "", control=control,
    )  # fmt: skip
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(account + "\n")
    (folder / "contacts").write_text("\n")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-f", str(folder), "-s", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
        reading: asyncio.Task[None] | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", control)
                    break
                await asyncio.sleep(0.05)
            assert writer is not None, (folder / "log").read_text(errors="replace")[-2000:]
            one = Phone(folder, port, writer)
            reading = asyncio.create_task(_read(reader, one))
            yield one
        finally:
            if writer is not None:
                writer.close()
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 3)
                except TimeoutError:
                    process.kill()
                    await process.wait()
            if reading is not None:
                reading.cancel()
                await asyncio.wait([reading])


async def _read(reader: asyncio.StreamReader, one: Phone) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            size = int((await reader.readuntil(b":"))[:-1])
            message = json.loads((await reader.readexactly(size)).decode("utf-8", "replace"))
            await reader.readexactly(1)
            (one.events if message.get("event") else one.answers).append(message)

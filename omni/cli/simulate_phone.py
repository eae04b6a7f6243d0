"""`omni simulate phone`: one telephone call to a server, as Twilio would bring it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from channels.twilio.simulator import Person, SimulatorSettings, SimulatorSettingsError, StreamFaults
from omni.cli.opening import Failure

_DEFAULTS = SimulatorSettings()
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_RATE = 8000
_CHANCE = click.FloatRange(0, 1)


@click.command()
@click.option(
    "--to", "url", default="http://127.0.0.1:8080/twilio/voice", show_default=True, metavar="URL", help="The webhook."
)
@click.option("--wav", "wavs", multiple=True, type=_FILE, help="What the caller says; may be repeated, in turn.")
@click.option(
    "--say", "texts", multiple=True, metavar="TEXT", help="… in Piper's voice (local-speech), after the files."
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Where what was heard goes, as a WAV.")
@click.option("--both", is_flag=True, help="Save both sides, as stereo: the caller left, the bot right.")
@click.option("--begin", type=click.FloatRange(0), default=1.0, show_default=True, help="When the first file is said.")
@click.option(
    "--pause", type=click.FloatRange(0), default=1.5, show_default=True, help="Silence that ends the bot's turn."
)
@click.option("--barge-in", type=click.FloatRange(0), help="Say further files once the bot has spoken for so long.")
@click.option("--press", metavar="KEYS", help="Press these keys after the last file.")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="Leave after so long.")
@click.option("--from", "caller", default="+12025550171", show_default=True, help="Who calls.")
@click.option("--number", default=_DEFAULTS.number, show_default=True, help="The business number, E.164.")
@click.option("--account-sid", default=_DEFAULTS.account_sid, show_default=True)
@click.option("--auth-token", default=_DEFAULTS.auth_token, show_default=True, envvar="OMNI_SIMULATE_AUTH_TOKEN")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=_DEFAULTS.port, show_default=True, help="Of its REST API."
)
@click.option("--lost", type=_CHANCE, default=0.0, help="The chance that a frame is lost.")
@click.option("--late", type=_CHANCE, default=0.0, help="… that it comes 100 ms late.")
@click.option("--swapped", type=_CHANCE, default=0.0, help="… behind its successor.")
@click.option("--doubled", type=_CHANCE, default=0.0, help="… twice.")
@click.option("--garbage", type=_CHANCE, default=0.0, help="… with a message that means nothing.")
@click.option("--jitter-ms", type=click.IntRange(0, 1000), default=0, help="Frames come up to so late, in order.")
@click.option("--cut-after-ms", type=click.IntRange(0), help="Break the connection off.")
def phone(
    url: str,
    wavs: tuple[Path, ...],
    texts: tuple[str, ...],
    save: Path | None,
    both: bool,
    begin: float,
    pause: float,
    barge_in: float | None,
    press: str | None,
    seconds: float,
    caller: str,
    number: str,
    account_sid: str,
    auth_token: str,
    port: int,
    lost: float,
    late: float,
    swapped: float,
    doubled: float,
    garbage: float,
    jitter_ms: int,
    cut_after_ms: int | None,
) -> None:
    """Call a server as Twilio does, say what is in some files, save what was heard, and say what happened.

    The number, account and token are those of the phone channel that is called. The server ends and transfers the call
    through the REST API of this command: OMNI_TWILIO_API_URL=http://127.0.0.1:8091.
    """
    from channels.twilio.simulator.phone.single import one_call, script_of, verdict

    try:
        settings = SimulatorSettings(
            voice_url=url, number=number, account_sid=account_sid, auth_token=auth_token, port=port
        )
        files = [each.read_bytes() for each in wavs]
        files += asyncio.run(_spoken(texts)) if texts else []
        script = script_of(files, begin=begin, pause=pause, barge_in=barge_in, press=press)
        faults = StreamFaults(
            lost=lost, late=late, swapped=swapped, doubled=doubled, garbage=garbage,
            jitter_ms=jitter_ms, cut_after_ms=cut_after_ms,
        )  # fmt: skip
        call = asyncio.run(one_call(settings, caller, Person(script=script, faults=faults), seconds=seconds))
    except (SimulatorSettingsError, ValueError, OSError) as error:
        raise Failure(str(error)) from None
    fine, sentence = verdict(call)
    if save is not None and call.streams:
        heard = call.stream.heard
        save.write_bytes(heard.both(bytes(call.caller.said)) if both else heard.wav())
        sentence += f" Saved to {save}."
    click.echo(sentence)
    if not fine:
        raise SystemExit(1)


async def _spoken(texts: Sequence[str]) -> list[bytes]:
    """A WAV each. Raises Failure where nobody speaks on this machine."""
    from omni.audio.wav import wav_of
    from omni.model.sound import VoiceConfig
    from workers.voice.tts.base import TtsError
    from workers.voice.tts.piper import PiperSpeaker, find_voices

    try:
        speaker = PiperSpeaker(find_voices(None))
        try:
            return [
                wav_of(b"".join([sound.pcm async for sound in speaker.say(text, VoiceConfig(), _RATE)]), _RATE)
                for text in texts
            ]
        finally:
            await speaker.close()
    except TtsError as error:
        raise Failure(f"--say: {error}") from None

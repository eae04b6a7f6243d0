"""`python -m tests.server.speaking CONFIG ROLE PORT [impatient]`: one role of omni, with ears and a voice that cost
nothing. The impatient wait for a silent voice worker for seconds, where others wait for a minute."""

from __future__ import annotations

import sys
from typing import cast

import workers.sounding
import workers.voice.neighbours
import workers.voice.worker
from omni.app.server import Server
from omni.app.speech import Speech
from omni.cli.serve import run
from omni.settings import Role, load
from omni.telemetry import logs
from sessions.rules import ending
from tests.agentphone.speaking_server import MarkRecogniser, MarkSpeaker, MarkVad


def main() -> None:
    config, role, port, *manner = sys.argv[1:]
    if manner == ["impatient"]:
        ending.SOUND_SECONDS = 6.0  # type: ignore[misc]
        workers.sounding.SURE_SECONDS = 3.0  # type: ignore[misc]
        workers.voice.neighbours.LEASE_SECONDS = 3.0  # type: ignore[misc]
        workers.voice.worker.REFRESH_SECONDS = 0.5  # type: ignore[misc]
        workers.voice.worker.KEEP_SECONDS = 1.0  # type: ignore[misc]
    settings = load(config, port=int(port))
    logs.configure(settings.log_format, settings.log_level)
    speech = Speech(MarkRecogniser(), MarkSpeaker(), MarkVad)
    run(settings, lambda: Server(settings, cast("Role", role), speech=speech), wait=30.0)


if __name__ == "__main__":
    main()

"""`omni top`: figures out of real metrics, and what is wrong as a sentence."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pty
import signal
import sys
from typing import Any

import pytest

from omni.cli.address import Address
from omni.cli.top.figures import figures, quantile, queues
from omni.cli.top.look import read

FIRST = """
process_start_time_seconds 900
omni_open_actors 3
omni_voice_calls 2
omni_loop_lag_seconds 0.004
omni_engine_up{engine="bus"} 1
omni_engine_up{engine="store"} 0
omni_engine_up{engine="blobs"} 1
omni_queue_ready{queue="inbound.0"} 4
omni_queue_ready{queue="inbound.1"} 1
omni_queue_taken{queue="inbound.0"} 2
omni_queue_age_seconds{queue="inbound.0"} 7
# TYPE omni_deliveries counter
omni_deliveries_total{channel="whatsapp",origin="bot",outcome="sent"} 100
omni_deliveries_total{channel="sms",origin="human",outcome="sent"} 50
omni_deliveries_total{channel="sms",origin="bot",outcome="failed"} 10
# TYPE omni_turn_seconds histogram
omni_turn_seconds_bucket{brain="llm",le="1.0"} 50
omni_turn_seconds_bucket{brain="llm",le="2.0"} 100
omni_turn_seconds_bucket{brain="llm",le="+Inf"} 100
"""
SECOND = FIRST.replace('origin="bot",outcome="sent"} 100', 'origin="bot",outcome="sent"} 120')
SECOND = SECOND.replace('le="2.0"} 100', 'le="2.0"} 104').replace('le="+Inf"} 100', 'le="+Inf"} 104')


def test_one_look_is_about_the_time_since_the_process_began() -> None:
    found = figures([(None, read(FIRST, 50, 1000))])
    assert (found.seconds, found.deliveries, found.failed) == (100, 1.5, 0.1)
    assert (found.answers.p50, found.answers.p95) == (1.0, 1.9)
    assert found.voice.p50 is None
    assert found.engines == {"bus": True, "store": False, "blobs": True}
    assert found.voice_calls == 2


def test_two_looks_are_about_the_time_between_them() -> None:
    found = figures([(read(FIRST, 50, 1000), read(SECOND, 60, 1010))])
    assert (found.seconds, found.deliveries) == (10, 2)
    assert (found.answers.p50, found.answers.p95) == (1.5, 1.95)


def test_a_process_that_began_anew_has_no_negative_rates() -> None:
    found = figures([(read(SECOND, 50, 1000), read(FIRST, 60, 1010))])
    assert found.deliveries == 15
    assert found.answers.p50 == 1.0


def test_what_waits_is_counted_once_and_what_is_in_hands_where_it_is() -> None:
    (inbound,) = queues([read(FIRST, 50, 1000), read(FIRST, 50, 1000)])
    assert (inbound.name, inbound.ready, inbound.taken, inbound.age) == ("inbound", 5, 4, 7)


@pytest.mark.parametrize(
    ("counts", "share", "wanted"),
    [
        ({}, 0.5, None),
        ({1.0: 0, math.inf: 0}, 0.5, None),
        ({1.0: 0, 2.0: 0, math.inf: 4}, 0.5, 2.0),
        ({1.0: 10, math.inf: 10}, 0.5, 0.5),
    ],
)
def test_a_quantile_is_as_prometheus_has_it(counts: Any, share: float, wanted: float | None) -> None:
    assert quantile(counts, share) == wanted


async def test_a_running_server_is_looked_at_once(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    done = await omni("top", "--once", "--json")
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["conversations"]["open"] == 0
    assert told["total"]["engines"] == {"bus": True, "store": True, "blobs": True}
    assert {"inbound", "outbound"} <= {queue["name"] for queue in told["queues"]}
    done = await omni("top", "--once")
    assert done.status == 0
    assert "conversations  0 open" in done.out
    assert "bus up, store up, blobs up" in done.out
    assert "\x1b" not in done.out


async def test_one_of_several_processes_that_is_away_has_a_row_that_says_so(
    omni: Any, address: Address, free_port: int
) -> None:
    omni.variables |= {"OMNI_API_KEY": address.key}
    away = f"http://127.0.0.1:{free_port}"
    done = await omni("top", address.url, away, "--once", "--json")
    assert done.status == 0
    here, there = json.loads(done.out)["processes"]
    assert (here["up"], there["up"]) == (True, False)
    assert there["problem"] == (
        f"no server answers at {away}/metrics; start one (omni serve), or name another: omni top URL"
    )


async def test_what_is_wrong_is_a_sentence(omni: Any, address: Address, free_port: int) -> None:
    for url, key, sentence in (
        (f"http://127.0.0.1:{free_port}", "k", "no server answers"),
        (address.url, "pk_wrong", "refuses the API key"),
        (f"{address.url}/nowhere", address.key, "is it an omni server"),
        ("ftp://x", "k", "is not a server's address"),
    ):
        done = await omni("top", url, "--once", "--api-key", key)
        assert (done.status, done.out) == (2, "")
        assert sentence in done.err
        assert done.err.startswith("omni: ")
        assert done.err.count("\n") == 1


async def test_in_a_terminal_it_goes_on_until_it_is_told_to_stop_and_leaves_the_screen_as_it_was(
    omni: Any, address: Address
) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key, "TERM": "xterm"}
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omni", "top", "--every", "0.2", cwd=omni.folder, env=omni.environment(),
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    try:
        while shown.count("omni top") < 3:
            shown += (await asyncio.to_thread(os.read, ours, 65_536)).decode()
        process.send_signal(signal.SIGINT)
        while "\x1b[?1049l" not in shown:
            shown += (await asyncio.to_thread(os.read, ours, 65_536)).decode()
        assert await process.wait() == 130
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert shown.startswith("\x1b[?1049h")
    assert "conversations  0 open" in shown
    assert "Traceback" not in shown

"""Brings up the services that the tests use: RabbitMQ and MongoDB; and finds a browser, axe-core, and what speaks SIP.

    python scripts/services.py start | stop | status

Whatever already listens is used as it is and is never stopped. What this script starts keeps its pid, log and data in
`.services/`.
`OMNI_TEST_RABBITMQ_URL` and `OMNI_TEST_MONGO_URL` name services that run elsewhere.

Standard library only: it runs before anything is installed. In CI it ends with status 1 when a service is missing; only
MongoDB may be missing, where no `mongod` runs and no Python for the stand-in can be had.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import urlsplit

from servers import axe, chromium, mongodb, rabbitmq, sip
from servers.mongodb import is_stand_in, speaks_mongodb
from servers.rabbitmq import speaks_amqp
from servers.service import IN_CI, STATE, Service, say

__all__ = ["IN_CI", "MONGO_URL", "RABBITMQ_URL", "STATUS", "is_stand_in", "speaks_amqp", "speaks_mongodb"]

RABBITMQ_URL = rabbitmq.URL
MONGO_URL = mongodb.URL
STATUS = STATE / "status.json"
"""What the last start or status reported, one object a service."""

NOT_RUNNING = "It does not run; try `make services`."


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Two `make test` at once must not start the same server twice."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _report(services: list[Service]) -> int:
    STATUS.write_text(json.dumps([asdict(service) for service in services], indent=2))
    for service in services:
        where = urlsplit(service.url).netloc.rpartition("@")[2] or service.url
        say(f"{service.name}: MISSING. {service.missing}" if service.missing else f"{service.name}: ready at {where}")
    return int(IN_CI and any(service.missing and not service.excused for service in services))


def main() -> int:
    parser = argparse.ArgumentParser(description="Starts, stops or shows the services that the tests use.")
    parser.add_argument("verb", choices=["start", "stop", "status"])
    verb = parser.parse_args().verb
    with _only_one():
        if verb == "start":
            return _report([rabbitmq.start(), mongodb.start(), chromium.start(), axe.start(), *sip.start()])
        if verb == "stop":
            mongodb.stop()
            rabbitmq.stop()
            STATUS.unlink(missing_ok=True)
            return 0
        return _report(
            [
                Service("RabbitMQ", RABBITMQ_URL, "" if speaks_amqp(RABBITMQ_URL) else NOT_RUNNING),
                Service("MongoDB", MONGO_URL, "" if speaks_mongodb(MONGO_URL) else NOT_RUNNING),
                Service("Chromium", chromium.find() or "", "" if chromium.find() else "It is not installed."),
                Service("axe-core", str(axe.find() or ""), "" if axe.find() else "Not here; try `make services`."),
                *sip.look(),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())

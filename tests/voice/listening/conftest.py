from __future__ import annotations

from tests.live.conftest import _bus, bus  # noqa: F401 - fixtures
from tests.streams.conftest import look_seconds, pulse, tower  # noqa: F401 - fixtures

"""``python -m channels.whatsapp.simulator``: the simulator without the rest of omni."""

from __future__ import annotations

import argparse
import logging

from channels.whatsapp.simulator import Rules, SimulatorSettings, StatusPlan, run


def main() -> None:
    defaults = SimulatorSettings()
    options = argparse.ArgumentParser(prog="python -m channels.whatsapp.simulator", description=__doc__)
    options.add_argument("--host", default=defaults.host)
    options.add_argument("--port", type=int, default=defaults.port)
    for name in ("webhook_url", "app_secret", "verify_token", "access_token", "phone_number_id", "waba_id"):
        options.add_argument("--" + name.replace("_", "-"), default=getattr(defaults, name))
    options.add_argument("--statuses", choices=("auto", "manual", "none"), default="auto")
    options.add_argument("--rate-limits", action="store_true")
    options.add_argument("--no-window", action="store_true", help="allow free-form messages at any time")
    options.add_argument("--keep-sent", type=int, default=defaults.keep_sent)
    options.add_argument("--keep-events", type=int, default=defaults.keep_events)
    options.add_argument("--seed", type=int, default=defaults.seed)
    given = vars(options.parse_args())
    statuses = StatusPlan(mode=given.pop("statuses"))
    rules = Rules(rate_limits=given.pop("rate_limits"), enforce_window=not given.pop("no_window"))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run(SimulatorSettings(**given, statuses=statuses, rules=rules))


if __name__ == "__main__":
    main()

"""A local stand-in for Twilio's messaging: its REST API and its webhooks over real sockets, faults included.

``running(settings)`` for tests, ``serve(settings)`` and ``run(settings)`` for a process of its own,
``create_app(Simulator(settings))`` to mount it, with its phone page, in another aiohttp application.
"""

from channels.sms.simulator.faults import FAULT_KINDS, FaultKind, FaultRule
from channels.sms.simulator.server import create_app, run, running, serve
from channels.sms.simulator.settings import SimulatorSettings, SimulatorSettingsError, StatusPlan, WebhookPlan
from channels.sms.simulator.simulator import SentMessage, Simulator

__all__ = [
    "FAULT_KINDS",
    "FaultKind",
    "FaultRule",
    "SentMessage",
    "Simulator",
    "SimulatorSettings",
    "SimulatorSettingsError",
    "StatusPlan",
    "WebhookPlan",
    "create_app",
    "run",
    "running",
    "serve",
]

"""A local stand-in for the WhatsApp Cloud API: the real protocol over a real socket, faults included.

``running(settings)`` for tests, ``serve(settings)`` and ``run(settings)`` for a process of its own,
``create_app(Simulator(settings))`` to mount it, with its demo phone page, in another aiohttp application.
"""

from channels.whatsapp.simulator.faults import FAULT_KINDS, FaultKind, FaultRule
from channels.whatsapp.simulator.server import create_app, run, running, serve
from channels.whatsapp.simulator.settings import (
    Rules,
    SimulatorSettings,
    SimulatorSettingsError,
    StatusPlan,
    WebhookPlan,
)
from channels.whatsapp.simulator.simulator import Simulator, UnknownNumber
from channels.whatsapp.simulator.statuses import SentMessage
from channels.whatsapp.simulator.webhooks import HandshakeResult

__all__ = [
    "FAULT_KINDS",
    "FaultKind",
    "FaultRule",
    "HandshakeResult",
    "Rules",
    "SentMessage",
    "Simulator",
    "SimulatorSettings",
    "SimulatorSettingsError",
    "StatusPlan",
    "UnknownNumber",
    "WebhookPlan",
    "create_app",
    "run",
    "running",
    "serve",
]

"""A local stand-in for Twilio: messages and calls, its REST API, webhooks and media streams over real sockets, faults
included.

``running(settings)`` for tests, ``serve(settings)`` and ``run(settings)`` for a process of its own,
``create_app(Simulator(settings))`` to mount it, with its phone page, in another aiohttp application.
"""

from channels.twilio.simulator.faults import FAULT_KINDS, FaultKind, FaultRule
from channels.twilio.simulator.phone.call import SimulatedCall
from channels.twilio.simulator.phone.people import CallPlan, Person, Step, StreamFaults
from channels.twilio.simulator.server import create_app, run, running, serve
from channels.twilio.simulator.settings import SimulatorSettings, SimulatorSettingsError, StatusPlan, WebhookPlan
from channels.twilio.simulator.simulator import SentMessage, Simulator

__all__ = [
    "FAULT_KINDS",
    "CallPlan",
    "FaultKind",
    "FaultRule",
    "Person",
    "SentMessage",
    "SimulatedCall",
    "Simulator",
    "SimulatorSettings",
    "SimulatorSettingsError",
    "StatusPlan",
    "Step",
    "StreamFaults",
    "WebhookPlan",
    "create_app",
    "run",
    "running",
    "serve",
]

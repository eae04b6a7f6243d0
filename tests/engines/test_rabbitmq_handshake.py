"""A broker that hangs up while we connect is a broker that cannot be reached, on the event loop the server runs on."""

import asyncio
import contextlib
import socket
import threading

import pytest

from omni.bus.base import BusUnavailableError
from omni.bus.rabbitmq import RabbitBus


def factories():
    yield asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        yield uvloop.new_event_loop  # tells aiormq of the end earlier, which then raises StopAsyncIteration


@pytest.fixture
def rude_broker():
    """The port of a server that closes every connection as soon as it is made."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up():
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    serving = threading.Thread(target=hang_up)
    serving.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    serving.join()
    listener.close()


@pytest.mark.parametrize("factory", tuple(factories()), ids=lambda factory: factory.__module__.partition(".")[0])
def test_a_broker_that_hangs_up_during_the_handshake_is_unavailable(rude_broker, factory):
    async def come():
        for _ in range(20):
            bus = RabbitBus(f"amqp://guest:guest@127.0.0.1:{rude_broker}/")
            with pytest.raises(BusUnavailableError):
                await bus.open()
            await bus.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(come())

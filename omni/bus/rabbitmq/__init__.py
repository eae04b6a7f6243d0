"""The bus on RabbitMQ (3.10 or newer), for when one machine is not enough.

`link` keeps a connection up, `topology` names and declares, `publisher` confirms, `consumer` takes and settles,
`graveyard` keeps the dead letters, `live` broadcasts, `bus` puts them together.
"""

from omni.bus.rabbitmq.bus import RabbitBus

__all__ = ["RabbitBus"]

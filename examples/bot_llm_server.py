"""The server asks the model; the tool runs here. Try it: `omni dev examples/bot_llm_server.py`."""

from omni import Omni, tool

ORDERS = {1042: "on its way", 1043: "delivered"}


@tool
async def order_status(order: int) -> str:
    """Where an order is, by its number."""
    return ORDERS.get(order, "unknown")


omni = Omni()
desk = omni.agent("desk", prompt="You are the desk of a paper shop.", llm="openai/gpt-4.1-mini", tools=[order_status])
omni.run()

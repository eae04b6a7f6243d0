"""A phone number that a model answers, and a colleague when it has to be one. Try it: `omni dev examples/phone_bot.py`,
with PHONE (the number, which a Twilio account of the server's has) and COLLEAGUE in the environment."""

import os

from omni import Call, Omni, tool

ORDERS = {1042: "on its way", 1043: "delivered"}


@tool
async def order_status(order: int) -> str:
    """Where an order is, by its number."""
    return ORDERS.get(order, "unknown")


@tool(no_followup=True)
def put_through(call: Call) -> str:
    """Give the caller to a colleague: when they ask for a person, or are not content."""
    call.forward(os.environ["COLLEAGUE"], message="One moment, I am putting you through.")
    return "the colleague's phone rings"


omni = Omni()
desk = omni.agent(
    "phone-desk",
    prompt="You answer the phone of a paper shop. One short sentence at a time.",
    greeting="Paper shop, good day! What can I do for you?",
    llm="openai/gpt-4.1-mini",
    tools=[order_status, put_through],
)
desk.add_channel("phone", os.environ["PHONE"])


@desk.on("call.ended")
def over(call: Call, reason: str) -> None:
    print(f"{call.from_} rang off after {call.duration:.0f} s ({reason}):", *call.transcript, sep="\n  ")


omni.run()

"""Everything a program can do in a call. Try it: `omni dev examples/call_api.py`, and write one of the words below.

What needs sound (hold, mute, keys, forwarding) is refused by the server in a conversation in writing.
"""

import asyncio
import json
from pathlib import Path

from omni import Call, Omni, Turn

omni = Omni()
agent = omni.agent(
    "call-api",
    tools=[{"type": "function", "function": {"name": "transferToHuman", "description": "Gives the call to a person."}}],
)
HERE = Path(__file__).parent


@agent.on("call.started")
def started(call: Call) -> None:
    if call.direction == "inbound":
        call.say("Hello! How can I help?")


@agent.on("chat.started")
def chat_started(call: Call) -> None:
    print("started", call.id, call.from_, call.to, call.direction, call.transport, call.metadata)


# --- speech ---


async def say(call: Call, turn: Turn) -> None:
    call.say("Hello! How can I help?")


async def reply(call: Call, turn: Turn) -> None:
    call.reply("Sure, let me look that up for you.")


async def reply_stream(call: Call, turn: Turn) -> None:
    stream = call.reply_stream(turn)
    async for token in some_model("Once upon a time"):
        if stream.aborted:  # the user interrupted
            break
        await stream.write(token)
    stream.end()


async def block(call: Call, turn: Turn) -> None:
    """The same in Python's own way: the block is left when the user interrupts, and ends the reply."""
    async with call.reply_stream(turn) as stream:
        async for token in some_model("Once upon a time"):
            await stream.write(token)


async def pipe(call: Call, turn: Turn) -> None:
    """And shorter."""
    await call.reply_stream(turn).pipe(some_model("Once upon a time"))


async def some_model(prompt: str):
    for word in prompt.split():
        await asyncio.sleep(0)
        yield word + " "


async def cancel(call: Call, turn: Turn) -> None:
    call.cancel()  # what is being said
    call.cancel("msg_abc123")  # one message
    call.clear()  # everything that waits
    call.reply("Cancelled.")


# --- control ---


async def forward(call: Call, turn: Turn) -> None:
    call.forward("+15558675309")


async def keys(call: Call, turn: Turn) -> None:
    call.send_dtmf("1234#")


async def hold(call: Call, turn: Turn) -> None:
    call.hold()
    # ... later
    call.unhold()


async def mute(call: Call, turn: Turn) -> None:
    call.mute()
    call.unmute()


async def bye(call: Call, turn: Turn) -> None:
    await call.say("Goodbye!")
    call.hangup()


# --- configuration and prompt ---


async def configure(call: Call, turn: Turn) -> None:
    call.configure(voice="elevenlabs:spanishVoiceId", language="es")
    call.reply("Configurado.")


async def prompt(call: Call, turn: Turn) -> None:
    await call.set_prompt("You are now in escalation mode. Be more formal.")
    await call.set_prompt_vars(customer_name="Maria", tier="premium")
    await call.add_context("Recent orders:\n- ORD-001: shipped\n- ORD-002: pending")
    call.reply("Prompted.")


async def prompt_file(call: Call, turn: Turn) -> None:
    await call.set_prompt_file(HERE / "prompts" / "escalation.md")
    call.reply("Prompted from a file.")


# --- history ---


async def history(call: Call, turn: Turn) -> None:
    messages = await call.get_history()
    await call.add_history(
        [
            {"role": "user", "content": "I called yesterday about my order"},
            {"role": "assistant", "content": "Yes, I see it shipped this morning."},
        ]
    )
    await call.set_history([{"role": "system", "content": "You are now in escalation mode."}])
    await call.clear_history()
    call.reply(f"There were {len(messages)} messages.")


SAMPLES = (say, reply, reply_stream, block, pipe, cancel, forward, keys, hold, mute, bye, configure, prompt)
BY_NAME = {sample.__name__: sample for sample in (*SAMPLES, prompt_file, history)}


@agent.on("turn.end")
async def do(turn: Turn, call: Call) -> None:
    sample = BY_NAME.get(turn.text.strip())
    if sample is None:
        call.reply("Write one of: " + ", ".join(BY_NAME))
    else:
        await sample(call, turn)


# --- tools by hand, for agents with the server's model ---


@agent.on("llm.tool_call")
async def tools(data, call: Call) -> None:
    results = []
    for tc in data.tool_calls:
        if tc.name == "transferToHuman":
            call.say("Connecting you now.")
            call.forward("+15558675309")
        args = json.loads(tc.arguments)
        results.append({"tool_call_id": tc.id, "result": {"done": tc.name, "with": args}})
    call.tool_result(data.msg_id, results)


@agent.on("error")
def refused(event) -> None:
    print("error", event.code, event.error)


# --- the end: keep what was said ---


@agent.on("call.ended")
async def keep(call: Call, reason: str) -> None:
    record = {
        "id": call.id,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "transport": call.transport,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "duration": call.duration,
        "reason": reason,
        "transcript": call.transcript,
        "messages": call.messages,
    }
    print("kept", json.dumps(record), flush=True)


omni.run()

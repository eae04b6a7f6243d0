"""Everything an agent can do, one thing after another. Try it: `omni dev examples/agent_api.py`.

It makes an agent, gives it channels, changes it while it runs, and then serves its events to a page on
http://localhost:8081/events until Ctrl-C.
"""

import asyncio
import os

from aiohttp import web

from omni import Omni, OmniError, tool


@tool
async def find_order(order_id: str) -> dict[str, str]:
    """Finds an order by its id."""
    return {"order": order_id, "status": "shipped"}


omni = Omni()

# --- an agent ---

agent = omni.agent(
    "my-agent",
    voice="elevenlabs:abc",
    language="es",
    stt="deepgram-flux",
    llm={
        "provider": "openai",
        "model": "gpt-4.1-mini",
        "enabled": True,
        "prompt": "System prompt with {{template_vars}}.",
    },
    tools=[find_order],
)

# --- its channels: phone, sip, webrtc, chat, whatsapp, mic ---

agent.add_channel("phone", "+13186330963")
agent.add_channel("phone", "sip:bot@trunk.twilio.com")
agent.add_channel("webrtc")
agent.add_channel("chat")

agent.add_channel("phone", "+34911234567", voice="elevenlabs:spanishVoiceId", language="es")

agent.add_channel(
    "whatsapp",
    phone_number_id="123456789012345",
    access_token="EAABx...",
    verify_token="my-secret",
    app_secret="abc123...",
)


@agent.on("channel.added")
def added(event):
    print("channel", event.type, event.ref)


async def main() -> None:
    async with omni:
        # --- change it while it runs: calls to come get the new settings, calls that go on keep theirs ---

        agent.configure_channel("+34911234567", voice="cartesia:newVoice")
        agent.remove_channel("+34911234567")

        agent.configure(voice="elevenlabs:frenchVoiceId", language="fr")
        agent.configure(stt="gladia")
        agent.configure(llm={"provider": "openai", "model": "gpt-4.1", "enabled": True, "prompt": "..."})

        agent.configure_session("CA7ec979f5", language="es")  # a call that goes on, as call.configure() does

        config = agent.get_config()
        print("config", config["voice"], config["llm"]["model"])

        # --- call somebody ---

        try:
            call = await agent.dial(
                to="+14155551234",
                from_="+13186330963",
                greeting="Hi! This is a follow-up call.",
                metadata={"appointmentId": "appt_001"},
                config={"voice": "cartesia:uuid", "language": "ar"},
            )
            print("answered", call.id)
        except OmniError as error:
            print("dial", error)

        # --- a token for a page; calls of these numbers come to this program; a call by its id ---

        token = await agent.create_token("chat")
        print("token", token.server, token.expires_in)

        agent.route_callers(["+34607827824", "+34612345678"])

        print("call", agent.call("CA7ec979f5"))

        # --- people take over: everywhere, for a contact, or (with its id) in a call ---

        await agent.pause()
        await agent.resume()

        # --- a frame that no method makes ---

        agent.send({"event": "custom.command", "payload": {}})

        # --- events for a page ---

        async def events(request: web.Request) -> web.StreamResponse:
            return await agent.stream().respond(request)

        app = web.Application()
        app.router.add_get("/events", events)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "localhost", int(os.environ.get("PORT", "8081"))).start()
        print("serving", runner.addresses[0][1], flush=True)
        try:
            await omni.wait()
        finally:
            await runner.cleanup()


asyncio.run(main())

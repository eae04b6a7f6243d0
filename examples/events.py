"""Every event of a call, an agent and a conversation. Try it: `omni dev examples/events.py`.

Handlers get the event, then the call; those at the end may be left out. They may be coroutine functions or not.
"""

import os
import sys
from pathlib import Path

from omni import Call, Omni, RingingCall, Turn

omni = Omni()
agent = omni.agent("events")
RECORDINGS = Path(os.environ.get("RECORDINGS", "."))
BLACKLIST = {"+15550001111"}


def show(*words) -> None:
    print(*words, flush=True)


# --- lifecycle ---


@agent.on("call.started")
def call_started(call: Call) -> None:
    show(f"📞 {call.direction} call from {call.from_}")
    call.set_prompt_vars(customer_name="John")


@agent.on("call.preparing")
async def preparing(call: Call) -> None:
    """Before every answer of the server's model, which waits for this."""
    await call.set_prompt_vars(
        date_block="today", format_rules="short sentences" if call.transport == "phone" else "markdown"
    )


@agent.on("call.ended")
def call_ended(call: Call, reason: str) -> None:
    show(f"Call ended: {reason}, lasted {call.duration:.0f}s")
    show("Transcript:", call.transcript)


@agent.on("call.ringing")
def screen(ringing: RingingCall) -> None:
    if ringing.from_ in BLACKLIST:
        ringing.reject()
    else:
        ringing.accept()


@agent.on("call.forwarded")
def forwarded(event, call: Call) -> None:
    show(f"Call forwarded to {event.to}")


@agent.on("call.recording")
def recorded(event, call: Call) -> None:
    # event.audio: base64 WAV; event.duration_ms; event.format; event.sample_rate
    (RECORDINGS / f"recording-{call.id}.wav").write_bytes(event.wav)


# --- where a conversation begins elsewhere than on a phone ---


@agent.on("chat.started")
def chat_started(call: Call) -> None:
    show("chat started", call.transport)
    call.set_prompt_vars(format="markdown")


@agent.on("whatsapp.started")
def whatsapp_started(call: Call, session) -> None:
    show("whatsapp started", session.contact_phone)
    call.set_prompt_vars(customer_name=session.contact_name)


# --- the user speaks ---


@agent.on("speech.started")
def speech_started(event, call: Call) -> None:
    show("speech started", event.turn_id, event.confidence)


@agent.on("speech.ended")
def speech_ended(event, call: Call) -> None:
    show("speech ended", event.turn_id, event.duration_ms)


@agent.on("user.speaking")
def user_speaking(event, call: Call) -> None:
    show(f'Hearing: "{event.text}"')


@agent.on("user.message")
def user_message(event, call: Call) -> None:
    show(f'User said: "{event.text}"')  # event.message_id: what a reply refers to


# --- turns ---


@agent.on("eager.turn")
def eager(turn: Turn, call: Call) -> None:
    show("perhaps over:", turn.text, turn.probability, turn.message_id)


@agent.on("turn.end")
def turn_end(turn: Turn, call: Call) -> None:
    call.reply(turn.text)


@agent.on("turn.continued")
def continued(event, call: Call) -> None:
    show("User continued — aborting previous response")


# --- the bot speaks ---


@agent.on("bot.speaking")
def bot_speaking(event, call: Call) -> None:
    show("speaking", event.message_id, event.text)  # a streamed reply has no text yet


@agent.on("bot.word")
def bot_word(event, call: Call) -> None:
    show("subtitle:", call.current_bot_text)  # grows word by word


@agent.on("bot.finished")
def bot_finished(event, call: Call) -> None:
    show(f'Done ({event.duration_ms:.0f}ms): "{call.current_bot_text}"')


@agent.on("bot.interrupted")
def bot_interrupted(event, call: Call) -> None:
    show(f'Interrupted after {event.played_ms:.0f}ms ({event.reason}), said: "{call.current_bot_text}"')


@agent.on("message.confirmed")
def confirmed(event, call: Call) -> None:
    show("confirmed", event.message_id, event.text)


@agent.on("message.aborted")
def aborted(event, call: Call) -> None:
    show("aborted", event.message_id, event.reason)


@agent.on("reply.rejected")
def rejected(event, call: Call) -> None:
    show("rejected", event.message_id, event.in_reply_to, event.expected_reply_to, event.reason)


# --- tools ---


@agent.on("llm.tool_call")
def tool_call(data, call: Call) -> None:
    for tc in data.tool_calls:
        show(f"🔧 {tc.name}({tc.arguments})")


# --- limits ---


@agent.on("session.idle_warning")
def idle(event, call: Call) -> None:
    show(f"{event.remaining_seconds} of {event.idle_timeout_seconds} seconds left")
    call.say("Are you still there?")


@agent.on("session.timeout")
def timeout(event, call: Call) -> None:
    show("timeout", event.reason)
    call.say("We've reached the time limit. Goodbye!")


# --- people take over ---


@agent.on("session.paused")
def paused(event) -> None:
    show("paused", event.session_id, event.contact)  # neither: everywhere


@agent.on("session.resumed")
def resumed(event) -> None:
    show("resumed", event.session_id, event.contact)


# --- hold, mute, keys ---


@agent.on("call.held")
def held(event, call: Call) -> None:
    show("📞 Call on hold")


@agent.on("call.unheld")
def unheld(event, call: Call) -> None:
    show("📞 Call resumed")


@agent.on("call.muted")
def muted(event, call: Call) -> None:
    show("🔇 Mic muted")


@agent.on("call.unmuted")
def unmuted(event, call: Call) -> None:
    if event.muted_transcript:
        show(f'While muted, user said: "{event.muted_transcript}"')


@agent.on("call.dtmf_sent")
def dtmf_sent(event, call: Call) -> None:
    show("sent", event.digits)


# --- WhatsApp ---


@agent.on("whatsapp.message")
def whatsapp_message(event) -> None:
    # event.paused: a person has this conversation; answer with agent.send_message()
    show("whatsapp message", event.type, event.from_, event.text, "paused" if event.paused else "")


@agent.on("whatsapp.response")
def whatsapp_response(event) -> None:
    show("whatsapp response", event.to, event.text, event.source or "bot")


@agent.on("whatsapp.status")
def whatsapp_status(event) -> None:
    show("whatsapp status", event.status, event.recipient)


@agent.on("whatsapp.session_ended")
def whatsapp_ended(event) -> None:
    show("whatsapp ended", event.session_id, event.contact_phone, event.duration, event.message_count)


# --- what omni never sends: it sells nothing ---


@agent.on("credits.rejected")
def credits_rejected(event) -> None:
    show("⛔ No credits — call rejected")


@agent.on("credits.exhausted")
def credits_exhausted(event, call: Call) -> None:
    call.say("We've run out of credits. The call will end shortly.")


# --- audio ---


@agent.on("audio.metrics")
def metrics(event, call: Call) -> None:
    show(event.source, event.energy_db, event.rms, event.peak, event.is_speech, event.vad_prob)


if "WHATSAPP_PHONE_NUMBER_ID" in os.environ:
    agent.add_channel(
        "whatsapp",
        phone_number_id=os.environ["WHATSAPP_PHONE_NUMBER_ID"],
        access_token=os.environ["WHATSAPP_ACCESS_TOKEN"],
        verify_token=os.environ["WHATSAPP_VERIFY_TOKEN"],
        app_secret=os.environ["WHATSAPP_APP_SECRET"],
    )
sys.stdout.reconfigure(encoding="utf-8")
omni.run()

"""This program asks the model itself. Try it: `omni dev examples/bot_llm_client.py`."""

from openai import AsyncOpenAI

from omni import Call, Omni, Turn

model, omni = AsyncOpenAI(), Omni()
desk = omni.agent("desk", prompt="You are the desk of a paper shop.")


@desk.on("turn.end")
async def answer(turn: Turn, call: Call) -> None:
    async with call.reply_stream(turn) as stream:  # left as soon as the customer goes on
        history = await call.get_history()
        async for chunk in await model.chat.completions.create(model="gpt-4.1-mini", messages=history, stream=True):
            await stream.write(chunk.choices[0].delta.content or "")


omni.run()

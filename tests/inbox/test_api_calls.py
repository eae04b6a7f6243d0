"""Calls with sound over the inbox's API: what is told of them, what can be done to them, and when not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from omni.audio.wav import wav_of
from omni.gateway.inbox.items import is_shown, item_of
from omni.gateway.inbox.naming import conversation_id
from omni.live.speech import BotWord, Hearing
from omni.model.entry import Entry
from tests.inbox.conftest import Hire
from tests.inbox.ringing import BO, MORE, TALK, line, over, rang, started
from tests.server.conftest import OpenShop

WAV = wav_of(b"\0\0" * 800, 8_000)


def test_every_thing_that_happens_to_a_call_is_an_item() -> None:
    facts = (*TALK, *MORE, *over())
    entries = [Entry(seq=n, ts=n, call="CA1", agent="echo", fact=fact) for n, fact in enumerate(facts, 1)]
    items = [item_of(entry, "cv_1", {}, {}) for entry in entries if is_shown(entry)]
    assert len(items) == len(facts) - 1, "all but the seal"
    by_type = {item["type"]: item for item in items}
    assert by_type["user.message"]["replaces"] is None
    assert [item.get("replaces") for item in items if item["type"] == "user.message"] == [None, "u1", None]
    assert by_type["bot.message"]["spoken"] is True
    assert by_type["bot.interrupted"]["text"] == "With pleasure. We have lemon,"
    assert by_type["call.dtmf_received"]["digit"] == "1"
    assert by_type["call.unmuted"]["transcript"] == "It is for my mother"
    assert (by_type["call.forward_failed"]["to"], by_type["call.forwarded"]["to"]) == ("+12025550188", "+12025550199")


async def test_a_live_call_is_told_word_by_word(open_shop: OpenShop, hire: Hire, services: dict[str, Any]) -> None:
    """The engines are those that processes share: the voice is another one."""
    shop = await open_shop(services)
    tess = await hire(shop)
    call = await line(shop, "CA1", *TALK)
    row = await tess.row(lambda row: row["call"] == "CA1")
    assert (row["transport"], row["state"], row["ringing"], row["direction"]) == ("phone", "open", False, "inbound")
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"])
    await page.heard(lambda frame: frame["type"] == "caught_up")
    hearing = Hearing(turn=3, message="u4", text="I would", confidence=0.5)
    word = BotWord(message="m3", word="Sure.", index=0, start=0.0, end=0.4)
    await call.tells(signals=(hearing, word))
    told = await page.heard(lambda frame: frame["type"] == "hearing")
    assert (told["text"], told["conversation"]) == ("I would", row["id"])
    told = await page.heard(lambda frame: frame["type"] == "heard")
    assert (told["message_id"], told["word"], told["index"]) == ("m3", "Sure.", 0)
    await call.ends()
    ended = await tess.row(lambda row: row["call"] == "CA1", "?state=ended")
    assert ended["reason"] == "hangup"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_a_recording_is_for_those_who_may_read_the_conversation(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess, stranger = await hire(shop), await hire(shop, "eve", org="other")
    blob = await shop.engines.blobs.put("call-1", _once(WAV), mime="audio/wav", max_bytes=10_000)
    call = await line(shop, "CA1", *TALK)
    await call.ends(recording=blob.key)
    other = await line(shop, "CA2", *TALK, who=BO)
    await other.ends()
    row = await tess.row(lambda row: row["call"] == "CA1", "?state=ended")
    [item] = await tess.items(row["id"], "call.recording")
    assert (item["url"], item["duration"]) == (f"/v1/inbox/conversations/{row['id']}/recordings/CA1", 133.0)
    answer = await tess.ask("GET", item["url"])
    assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
    assert (await tess.ask("GET", item["url"], headers={"Range": "bytes=0-3"})).status == 206
    assert (await stranger.ask("GET", item["url"])).status == 404
    foreign = item["url"].replace(row["id"], conversation_id(other.call.conversation))
    assert (await tess.ask("GET", foreign)).status == 404, "it is another conversation's"
    assert (await tess.ask("GET", foreign.replace("CA1", "CA2"))).status == 404, "there is none"


ACTS = [("hold", {}), ("hold", {"on": False}), ("mute", {}), ("keys", {"digits": "12#"}),
        ("forward", {"to": "+12025550199", "message": "One moment."}), ("hang-up", {})]  # fmt: skip


@pytest.mark.parametrize(("act", "body"), ACTS)
async def test_only_a_call_in_progress_can_be_acted_on(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any], act: str, body: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess, viewer = await hire(shop), await hire(shop, "vera", role="viewer")
    live = await line(shop, "CA1", *TALK)
    rings = await line(shop, "CA2", rang(), who=BO, is_ringing=True)
    done = await line(shop, "CA3", rang(), started(), who="+12025550173")
    await done.ends()
    shop.say("hello")
    await shop.answers(1)
    written = await tess.row(lambda row: row["transport"] == "whatsapp")

    def path(id_: str) -> str:
        return f"/v1/inbox/conversations/{id_}/{act}"

    cv = conversation_id(live.call.conversation)
    assert (await tess.ask("POST", path(cv), body)).status == 202
    assert (await viewer.ask("POST", path(cv), body)).status == 403
    ringing = await tess.ask("POST", path(conversation_id(rings.call.conversation)), body)
    assert ringing.status == (202 if act == "hang-up" else 409)
    assert (await tess.ask("POST", path(conversation_id(done.call.conversation)), body)).status == 409
    assert (await tess.ask("POST", path(written["id"]), body)).status == 409
    assert (await tess.ask("POST", path(cv), {**body, "odd": 1})).status == 422
    told = await shop.engines.store.audit("default")
    assert f"call.{act.replace('-', '_')}" in [record.action for record in told]
    assert "12#" not in str(told), "what is pressed may be a secret"


async def test_nothing_is_said_in_a_call_that_nobody_hears(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    rings = await line(shop, "CA1", rang(), is_ringing=True)
    done = await line(shop, "CA2", rang(), started(), who=BO)
    await done.ends()
    for call, why in ((rings, "has not been answered yet"), (done, "it has ended")):
        cv = conversation_id(call.call.conversation)
        answer = await tess.send(cv, {"text": "Hello?"})
        assert answer.status == 409
        assert why in answer.body["error"]["message"]
    reopened = await tess.ask("POST", f"/v1/inbox/conversations/{conversation_id(done.call.conversation)}/reopen", {})
    assert reopened.status == 409

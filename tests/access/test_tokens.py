"""Tokens and visitors: nobody else can write one, each opens what it was made for, and a browser token does so once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from omni.access.access import open_access
from omni.access.seal import Sealer, kept_secret
from omni.access.tokens import (
    LIFETIMES,
    PREFIXES,
    SCOPES,
    Scope,
    Token,
    TokenError,
    TokenKind,
    Tokens,
    open_token,
    token_payload,
)
from omni.access.visitors import Visitor, open_visitor, seal_visitor
from omni.store.base import Store

SEALER = Sealer("a secret of some length")
NOW = 1_000_000.0
KINDS: tuple[TokenKind, ...] = ("webrtc", "chat", "stream")

texts = st.text(max_size=20)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tokens = st.builds(
    Token,
    kind=st.sampled_from(KINDS),
    id=texts,
    org=texts,
    agents=st.lists(texts, min_size=1, max_size=3).map(tuple),
    scope=st.sampled_from(SCOPES),
    issued_at=st.just(NOW),
    expires_at=st.just(NOW + 60),
    call=st.none() | texts,
    meta=st.none() | st.dictionaries(texts, values, max_size=3),
    origin=st.none() | texts,
    opens=st.none() | texts,
    vars=st.none() | st.dictionaries(texts, texts, max_size=3),
)


def sealed(token: Token, sealer: Sealer = SEALER) -> str:
    return sealer.seal(PREFIXES[token.kind], token_payload(token))


def refusal(text: str, kind: TokenKind, now: float = NOW, sealer: Sealer = SEALER) -> str:
    with pytest.raises(TokenError) as refused:
        open_token(sealer, text, kind, now)
    assert f"/{kind}/token" in str(refused.value)
    return refused.value.code


@given(tokens)
def test_a_token_opens_as_what_was_sealed_and_stands_in_a_url_as_it_is(token: Token) -> None:
    text = sealed(token)
    assert open_token(SEALER, text, token.kind, NOW) == token
    assert re.fullmatch(r"(wrt|cht|str)_eyJ[A-Za-z0-9_.-]+", text)


@given(tokens, st.data())
def test_a_token_with_anything_changed_is_refused(token: Token, data: st.DataObject) -> None:
    text = sealed(token)
    place = data.draw(st.integers(4, len(text) - 1))
    letter = data.draw(st.characters())
    changed = data.draw(
        st.sampled_from(
            [
                text[:place] + letter + text[place + 1 :],
                text[:place] + text[place + 1 :],
                text[:place] + letter + text[place:],
                text[:place],
                text + letter,
            ]
        )
    )
    if changed != text:
        assert refusal(changed, token.kind) == "invalid"


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")), st.sampled_from(KINDS))
def test_any_text_is_refused_in_words(text: str, kind: TokenKind) -> None:
    for attempt in (text, PREFIXES[kind] + text, f"{PREFIXES[kind]}{text}.{text}"):
        assert refusal(attempt, kind) in {"invalid", "wrong_kind"}


def token(kind: TokenKind = "chat", **more: Any) -> Token:
    fields = {"id": "j1", "org": "acme", "agents": ("desk",), "scope": "participate", "issued_at": NOW}
    return Token(**{"kind": kind, "expires_at": NOW + 60, **fields, **more})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_a_token_of_another_kind_is_refused_by_its_name(kind: TokenKind, wanted: TokenKind) -> None:
    if kind != wanted:
        assert refusal(sealed(token(kind)), wanted) == "wrong_kind"
        renamed = PREFIXES[wanted] + sealed(token(kind)).removeprefix(PREFIXES[kind])
        assert refusal(renamed, wanted) == "invalid"


def test_a_token_lasts_until_its_end_and_no_longer() -> None:
    text = sealed(token())
    assert open_token(SEALER, text, "chat", NOW + 59.9) == token()
    assert refusal(text, "chat", NOW + 60) == "expired"


def test_another_servers_token_is_refused_and_the_previous_secret_still_opens() -> None:
    text = sealed(token())
    assert refusal(text, "chat", sealer=Sealer("another secret")) == "invalid"
    changing = Sealer("a new secret", previous="a secret of some length")
    assert open_token(changing, text, "chat", NOW) == token()
    assert refusal(sealed(token(), changing), "chat") == "invalid"


def test_what_a_token_covers() -> None:
    stream = token("stream", agents=("desk", "sales"), scope="observe")
    assert stream.covers("acme", "sales", "chat-1")
    assert not stream.covers("acme", "other", "chat-1")
    assert not stream.covers("other", "desk", "chat-1")
    narrow = token("stream", call="chat-1")
    assert narrow.covers("acme", "desk", "chat-1")
    assert not narrow.covers("acme", "desk", "chat-2")
    assert token(scope="supervise").may_control
    assert not stream.may_control


@pytest.mark.parametrize(("kind", "scope"), [("webrtc", "participate"), ("chat", "participate"), ("stream", "observe")])
async def test_a_minted_token_has_the_kinds_lifetime_and_scope(
    store: Store, clock: Any, kind: TokenKind, scope: Scope
) -> None:
    minted = Tokens(SEALER, store, clock=clock)
    got = minted.open(minted.mint(kind, "acme", ("desk",), meta={"user": 7}), kind)
    assert (got.org, got.agent, got.scope, got.meta) == ("acme", "desk", scope, {"user": 7})
    assert got.expires_at - got.issued_at == LIFETIMES[kind]
    assert LIFETIMES == {"webrtc": 60, "chat": 60, "stream": 3600}


async def test_of_several_who_use_a_token_at_once_one_succeeds(
    open_store: Callable[[], Awaitable[Store]], clock: Any
) -> None:
    gateways = [Tokens(SEALER, await open_store(), clock=clock) for _ in range(3)]
    text = gateways[0].mint("chat", "acme", ("desk",))
    opened = [gateway.open(text, "chat") for gateway in gateways for _ in range(2)]
    outcomes = await asyncio.gather(
        *(gateways[n % 3].consume(each) for n, each in enumerate(opened)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 5
    assert {each.code for each in refused if isinstance(each, TokenError)} == {"used"}
    assert gateways[0].open(text, "chat").agent == "desk", "looking uses nothing up"
    await gateways[0].consume(gateways[0].open(gateways[0].mint("chat", "acme", ("desk",)), "chat"))


async def test_the_memory_of_used_tokens_outlasts_them(store: Store, clock: Any) -> None:
    """However the clocks of two gateways differ within reason."""
    minted = Tokens(SEALER, store, clock=clock)
    used = minted.open(minted.mint("chat", "acme", ("desk",)), "chat")
    await minted.consume(used)
    clock.now += 61 + 240
    with pytest.raises(TokenError):
        await minted.consume(used)


async def test_all_processes_share_a_secret_that_one_of_them_made(
    open_store: Callable[[], Awaitable[Store]],
) -> None:
    stores = [await open_store() for _ in range(3)]
    made = await asyncio.gather(*(kept_secret(store, NOW) for store in stores))
    assert len(set(made)) == 1
    assert len(made[0]) >= 32
    assert await kept_secret(stores[0], NOW + 50 * 365 * 86_400) == made[0]


async def test_a_token_of_one_process_opens_in_another(open_store: Callable[[], Awaitable[Store]]) -> None:
    one, other = [await open_access(await open_store()) for _ in range(2)]
    text = one.tokens.mint("stream", "acme", ("desk",))
    assert other.tokens.open(text, "stream").org == "acme"
    stranger = await open_access(await open_store(), secret="set by its operator")
    with pytest.raises(TokenError):
        stranger.tokens.open(text, "stream")


# visitors


def visitor(**more: Any) -> Visitor:
    return Visitor(**{"id": "vis_1", "org": "acme", "agent": "desk", "since": NOW, **more})


@given(st.builds(Visitor, id=texts, org=texts, agent=texts, since=st.floats(0, 2e9)))
def test_a_visitor_comes_back_as_the_same_person(who: Visitor) -> None:
    text = seal_visitor(SEALER, who)
    assert open_visitor(SEALER, text, org=who.org, agent=who.agent) == who
    assert re.fullmatch(r"vis_[A-Za-z0-9_.-]+", text)


@given(st.data())
def test_a_visitor_with_anything_changed_is_nobody(data: st.DataObject) -> None:
    text = seal_visitor(SEALER, visitor())
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters())
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        assert open_visitor(SEALER, changed, org="acme", agent="desk") is None


def test_a_visitor_is_known_to_its_own_agent_only() -> None:
    text = seal_visitor(SEALER, visitor())
    assert open_visitor(SEALER, text, org="acme", agent="sales") is None
    assert open_visitor(SEALER, text, org="other", agent="desk") is None
    assert open_visitor(SEALER, None, org="acme", agent="desk") is None
    assert open_visitor(SEALER, sealed(token()), org="acme", agent="desk") is None
    with pytest.raises(TokenError):
        open_token(SEALER, "cht_" + text.removeprefix("vis_"), "chat", NOW)

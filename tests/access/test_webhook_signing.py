"""How requests to developers' servers are signed, against the vector that AgentPhone's client verifies."""

from __future__ import annotations

from pydantic import SecretStr

from omni.access.webhooks import signature, signed_headers

SECRET = SecretStr("whsec_omni_test")
BODY = (
    b'{"event":"agent.message","channel":"voice","timestamp":"2026-01-02T03:04:05Z","agentId":"agt_1",'
    b'"data":{"callId":"call_1","transcript":"hi"},"recentHistory":[],"conversationState":null}'
)
HEX = "ef6e7163975ad8a05d9dbb383bc6cb3887da77d933e77b5387c12c7707dba0c3"
WHAT = {"event": "agent.message", "delivery": "del_1", "at": 1_700_000_000}


def test_agentphones_vector_comes_out() -> None:
    assert len(BODY) == 185
    headers = signed_headers("agentphone", SECRET, BODY, **WHAT)  # type: ignore[arg-type]
    assert headers.pop("User-Agent").startswith("omni-webhooks/")
    assert headers == {
        "Content-Type": "application/json",
        "X-Webhook-Signature": f"sha256={HEX}",
        "X-Webhook-Timestamp": "1700000000",
        "X-Webhook-ID": "del_1",
        "X-Webhook-Event": "agent.message",
    }


def test_omnis_own_headers_hold_the_same_signature_and_no_other_dialects() -> None:
    headers = signed_headers("omni", SECRET, BODY, **WHAT)  # type: ignore[arg-type]
    assert headers["Omni-Signature"] == HEX
    assert (headers["Omni-Timestamp"], headers["Omni-Event"]) == ("1700000000", "agent.message")
    assert headers["Omni-Delivery"] == "del_1"
    assert not [name for name in headers if name.startswith("X-")]


def test_a_secret_beyond_ascii_and_a_later_retry_sign_otherwise() -> None:
    assert signature(SecretStr("geheimnüß"), b"{}", 1) != signature(SECRET, b"{}", 1)
    assert signature(SECRET, BODY, 1_700_000_001) != HEX

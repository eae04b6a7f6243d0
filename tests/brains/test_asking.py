"""Who is told of our traces: endpoints of one's own network, and nobody else's."""

from __future__ import annotations

import pytest

from sessions.brains.asking import is_near


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.0.0.7/v1", True),
        ("http://ollama:11434/v1", True),
        ("http://vllm.models.svc.cluster.local/v1", True),
        ("http://gpu.internal/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://8.8.8.8/v1", False),
        ("https://internal.example.com/v1", False),
        ("https://localhost.example.com/v1", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_an_endpoint_is_near_when_it_is_surely_ones_own(address: str, near: bool) -> None:
    assert is_near(address) is near

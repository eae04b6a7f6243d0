"""An agent's slug, however people write its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.model.agent import Agent
from omni.model.slugs import slug_of


@pytest.mark.parametrize(
    ("typed", "slug"),
    [
        ("desk", "desk"),
        ("Front_Desk", "front-desk"),
        ("  My  Agent ", "my-agent"),
        ("a__b--c", "a-b-c"),
        ("-x-", "x"),
        ("café!", "caf"),
        ("…", ""),
        ("", ""),
        ("x" * 80, "x" * 64),
        ("x" * 63 + "-y", "x" * 63),
    ],
)
def test_a_name_becomes_its_slug(typed: str, slug: str) -> None:
    assert slug_of(typed) == slug


@given(st.text())
def test_whatever_is_typed_becomes_a_slug_that_stays_one(typed: str) -> None:
    slug = slug_of(typed)
    assert slug_of(slug) == slug
    if slug:
        assert Agent(slug=slug).slug == slug

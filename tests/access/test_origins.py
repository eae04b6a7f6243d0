"""Which pages may talk to an agent without a key: near misses are misses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.access.origins import is_allowed


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://site.com", "https://site.com"),
        ("https://site.com", "https://SITE.com"),
        ("https://site.com/", "https://site.com"),
        ("https://site.com:443", "https://site.com"),
        ("https://site.com", "https://site.com:443"),
        ("http://site.com", "http://site.com:80"),
        ("https://site.com:8443", "https://site.com:8443"),
        ("https://*.site.com", "https://www.site.com"),
        ("https://*.site.com", "https://a.b.c.site.com"),
        ("https://*.site.com:8443", "https://www.site.com:8443"),
        ("http://localhost:*", "http://localhost"),
        ("http://localhost:*", "http://localhost:5173"),
        ("http://[::1]:*", "http://[::1]:3000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("https://münchen.de", "https://xn--mnchen-3ya.de"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_a_page_that_matches_may(pattern: str, origin: str) -> None:
    assert is_allowed(origin, ["https://elsewhere.org", pattern])


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://site.com", "https://evilsite.com"),
        ("https://site.com", "https://site.com.evil.org"),
        ("https://site.com", "http://site.com"),
        ("https://site.com", "https://site.com:8443"),
        ("https://site.com", "https://www.site.com"),
        ("https://site.com", "https://site.co"),
        ("https://site.com", "https://site.com@evil.org"),
        ("https://site.com", "https://evil.org/https://site.com"),
        ("https://site.com", "https://evil.org?https://site.com"),
        ("https://site.com", "https://evil.org#https://site.com"),
        ("https://site.com", "https://site.com, https://evil.org"),
        ("https://site.com", "https://site.com https://evil.org"),
        ("https://site.com", "https://site.com\n"),
        ("https://site.com", "https://site.com\\.evil.org"),
        ("https://site.com", "null"),
        ("https://site.com", ""),
        ("https://site.com", None),
        ("https://site.com", "site.com"),
        ("https://*.site.com", "https://site.com"),
        ("https://*.site.com", "https://.site.com"),
        ("https://*.site.com", "https://evilsite.com"),
        ("https://*.site.com", "http://www.site.com"),
        ("https://*.site.com", "https://www.site.com:8443"),
        ("https://*.site.com", "https://www.site.com.evil.org"),
        ("https://*.site.com", "https://*.site.com"),
        ("https://*.site.com", "https://evil.org/.site.com"),
        ("http://localhost:*", "https://localhost:5173"),
        ("http://localhost:*", "http://localhost.evil.org:5173"),
        ("http://localhost:*", "http://localhost:*"),
        ("http://localhost:*", "http://127.0.0.1:5173"),
        ("*", "https://site.com"),
        ("https://*", "https://site.com"),
        ("https://s*e.com", "https://site.com"),
        ("https://www.*.com", "https://www.site.com"),
        ("", "https://site.com"),
        ("null", "null"),
    ],
)
def test_a_page_that_nearly_matches_may_not(pattern: str, origin: str | None) -> None:
    assert not is_allowed(origin, [pattern])


def test_without_patterns_no_page_may() -> None:
    assert not is_allowed("https://site.com", [])


@given(st.text(), st.text())
def test_any_text_is_compared_without_an_error(origin: str, pattern: str) -> None:
    is_allowed(origin, [pattern])
    is_allowed(f"https://{origin}", [f"https://{pattern}"])


@given(st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){0,3}", fullmatch=True))
def test_subdomains_of_a_wildcard_are_those_that_end_in_it_after_a_dot(host: str) -> None:
    assert is_allowed(f"https://{host}", ["https://*.a.b"]) == host.endswith(".a.b")

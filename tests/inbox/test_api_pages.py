"""The page at /inbox: its files and nothing else, under a policy that runs nobody else's script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omni.gateway.inbox.pages import PAGE, Pages
from tests.server.conftest import OpenShop


async def test_the_page_comes_with_its_policy_and_is_not_sent_twice(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    async with shop.http.get(f"{shop.url}/inbox") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert await answer.text() == (PAGE / "index.html").read_text(encoding="utf-8")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-cache"
        etag = answer.headers["ETag"]
    async with shop.http.get(f"{shop.url}/inbox", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


async def test_every_file_of_the_page_is_served_with_its_type(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    files = [path for path in PAGE.rglob("*") if path.suffix in kinds]
    assert files
    for path in files:
        async with shop.http.get(f"{shop.url}/inbox/{path.relative_to(PAGE).as_posix()}") as answer:
            assert (answer.status, answer.content_type) == (200, kinds[path.suffix])
            assert await answer.read() == path.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "static/../pages.py",
        "..%2fpages.py",
        "%2e%2e/pages.py",
        "js/..%5c..%5cpages.py",
        "/etc/passwd",
        "css",
        "js/main.js/",
    ],
)
async def test_nothing_beside_the_page_is_served(open_shop: OpenShop, embedded: dict[str, Any], path: str) -> None:
    from yarl import URL

    shop = await open_shop(embedded)
    async with shop.http.get(URL(f"{shop.url}/inbox/{path}", encoded=True)) as answer:
        assert answer.status == 404


def test_files_of_other_kinds_are_no_part_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "notes.py").write_text("secret")
    (tmp_path / ".env").write_text("secret")
    assert list(Pages(tmp_path)._files) == ["index.html"]

"""The document says what the server does: read by a validator, by a fuzzer, and by people."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from omni.gateway.rest.openapi import PATH
from tests.rest.house import House


async def test_the_document_is_openapi_and_complete(house: House) -> None:
    document = await house.get(PATH, key=None)
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    used = set(_refs(document))
    assert used == {f"#/components/schemas/{name}" for name in schemas}
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(set(ids)) == len(ids) >= 40
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path
            assert operation["summary"]
            assert {"400", "401", "429", "503"} <= operation["responses"].keys(), (method, path)


def _refs(value: Any) -> list[str]:
    match value:
        case dict():
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for each in value.values() for ref in _refs(each)]
        case list():
            return [ref for each in value for ref in _refs(each)]
        case _:
            return []


async def test_the_document_is_sent_once_to_who_keeps_it(house: House) -> None:
    first = await house.ask("GET", PATH, key=None)
    again = await house.ask("GET", PATH, key=None, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.text) == (304, "")
    assert first.headers["Cache-Control"] == "no-cache"


async def test_every_answer_that_is_listed_has_its_shape(house: House) -> None:
    """What the lists and single things of a lived-in server answer, against the document."""
    document = await house.get(PATH)
    conversation = await house.conversation()
    await house.post("/v1/webhooks", {"url": "https://a.example/hook"})
    await house.post("/v1/sip-trunks", {"name": "office", "allow": ["192.0.2.0/24"], "inbound_username": "door"})
    names = {"agent_id": "echo", "call_id": conversation["call_id"], "conversation_id": conversation["id"],
             "contact_id": conversation["contact"]["id"], "trunk_id": "office"}  # fmt: skip
    looked = 0
    for path, operations in document["paths"].items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        if "get" not in operations or not named <= names.keys() or path.endswith(("recording", "export")):
            continue
        looked += 1
        body = await house.get(path.format(**names))
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(body)
    assert looked >= 14


# the page


async def test_the_reference_has_every_call_and_runs_nothing(house: House) -> None:
    document = await house.get(PATH)
    page = await house.ask("GET", "/docs/api", key=None)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "http://" not in page.text.replace("http:// ", "").replace("`http://`", "")
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page.text
    style = await house.ask("GET", "/docs/api/reference.css", key=None)
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    known = await house.ask("GET", "/docs/api", key=None, headers={"If-None-Match": page.headers["ETag"]})
    assert known.status == 304
    assert (await house.ask("GET", "/docs/api/", key=None)).headers["Location"] == "/docs/api"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_the_reference_is_readable_by_day_by_night_and_on_a_phone(
    house: House, scheme: Any, width: int, tmp_path: Any
) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{house.shop.url}/docs/api")
        await page.screenshot(path=tmp_path / f"{scheme}-{width}.png")
        wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await browser.close()
    assert wider <= 0
    assert complaints == []
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 31)")

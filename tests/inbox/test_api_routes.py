"""Every route: for whom it is, and that it shows and does nothing of another organisation's. The documentation, too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omni.app.server import Server
from omni.gateway.inbox.guard import CSRF_HEADER
from omni.model.operator import RANKS, Role
from omni.settings import Settings
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of

DOCS = Path(__file__).resolve().parents[2] / "docs" / "inbox-api.md"
TEXT = {"text": "x"}
C, P = "/conversations/{id}", "/contacts/{contact}"


@dataclass(frozen=True)
class Route:
    """`body` is one that is taken; `names` tells whether the path names something of one organisation."""

    method: str
    path: str
    role: Role
    body: Any = None

    @property
    def names(self) -> bool:
        return "{" in self.path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = [
    Route("GET", "/me", "viewer"),
    Route("PATCH", "/me", "viewer", {}),
    Route("GET", "/operators", "viewer"),
    Route("POST", "/operators", "admin", {"email": "new@example.com", "name": "New"}),
    Route("PATCH", "/operators/{id}", "admin", {"name": "Other"}),
    Route("GET", "/audit", "admin"),
    Route("GET", "/agents", "viewer"),
    Route("POST", "/agents/{slug}/pause", "admin", {}),
    Route("POST", "/agents/{slug}/resume", "admin", {}),
    Route("GET", "/conversations", "viewer"),
    Route("GET", "/counts", "viewer"),
    Route("GET", C, "viewer"),
    Route("GET", f"{C}/items", "viewer"),
    Route("GET", f"{C}/media/{{call}}/{{seq}}/{{part}}", "viewer"),
    Route("GET", f"{C}/recordings/{{call}}", "viewer"),
    Route("GET", f"{C}/templates", "viewer"),
    Route("POST", f"{C}/seen", "agent", {"call": "wa-1", "user_messages": 1}),
    Route("POST", f"{C}/take", "agent", {}),
    Route("POST", f"{C}/notes", "agent", TEXT),
    Route("POST", f"{C}/assign", "agent", {"to": None}),
    Route("POST", f"{C}/labels", "agent", {"add": ["x"]}),
    Route("POST", f"{C}/snooze", "agent", {"until": None}),
    Route("POST", f"{C}/pause-contact", "agent", {"paused": False}),
    Route("POST", f"{C}/typing", "agent", {"on": False}),
    Route("POST", f"{C}/hold", "agent", {}),
    Route("POST", f"{C}/mute", "agent", {}),
    Route("POST", f"{C}/keys", "agent", {"digits": "1"}),
    Route("POST", f"{C}/forward", "agent", {"to": "+12025550199"}),
    Route("POST", f"{C}/hang-up", "agent", {}),
    Route("POST", f"{C}/seat", "agent", {"sdp": "v=0"}),
    Route("POST", f"{C}/whisper", "agent", TEXT),
    Route("POST", f"{C}/messages", "agent", TEXT),
    Route("POST", f"{C}/messages/{{delivery}}/retry", "agent", {}),
    Route("POST", f"{C}/reactions", "agent", {"target": "wamid.x", "emoji": "👍"}),
    Route("POST", f"{C}/release", "agent", {}),
    Route("POST", f"{C}/end", "agent", {}),
    Route("POST", f"{C}/reopen", "agent", {}),
    Route("POST", "/uploads", "agent", {}),
    Route("GET", P, "viewer"),
    Route("PATCH", P, "agent", {"attributes": {}}),
    Route("POST", f"{P}/merge", "agent", {"other": "ct_nobody"}),
    Route("GET", "/search", "viewer"),
    Route("GET", "/canned", "viewer"),
    Route("POST", "/canned", "agent", {"name": "mine", "text": "x"}),
    Route("PATCH", "/canned/{item}", "agent", {"text": "y"}),
    Route("DELETE", "/canned/{item}", "agent"),
    Route("GET", "/views", "viewer"),
    Route("POST", "/views", "agent", {"name": "mine"}),
    Route("PATCH", "/views/{item}", "agent", {"name": "yours"}),
    Route("DELETE", "/views/{item}", "agent"),
    Route("GET", "/labels", "viewer"),
    Route("POST", "/labels", "admin", {"name": "mine"}),
    Route("PATCH", "/labels/{item}", "admin", {"name": "yours"}),
    Route("DELETE", "/labels/{item}", "admin"),
    Route("GET", "/overview", "viewer"),
    Route("GET", "/overview.csv", "admin"),
    Route("GET", "/live", "viewer"),
]
OPEN = {
    "GET /sign-in/options",
    "POST /sign-in",
    "POST /sign-in/link",
    "GET /oidc/start",
    "GET /oidc/callback",
    "POST /sign-out",
}
"""Nobody's, or one's own."""

NEEDS_QUERY = {"/search": "?q=hello", "/uploads": "?conversation={id}"}


@pytest.fixture
async def app(tmp_path: Path) -> web.Application:
    """The HTTP front of a server, to look at."""
    seen: list[web.Application] = []
    server = Server(Settings(port=0, store_url=f"sqlite:///{tmp_path}/omni.db"), mount=seen.append)
    await server.start()
    await server.stop()
    return seen[0]


def served(app: web.Application) -> set[str]:
    found = set()
    for route in app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if path.startswith("/v1/inbox/") and route.method != "HEAD":
            found.add(f"{route.method} {path.removeprefix('/v1/inbox')}")
    return found


async def test_the_table_here_has_every_route(app: web.Application) -> None:
    assert served(app) == {str(route) for route in ROUTES} | OPEN


async def test_the_documentation_has_every_route_with_an_example(app: web.Application) -> None:
    text = DOCS.read_text(encoding="utf-8")
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    documented = {}
    for section in sections:
        head, _, rest = section.partition("\n")
        documented[head.strip("` ").replace(" /v1/inbox", " ")] = rest
    assert set(documented) == served(app)
    for head, rest in documented.items():
        example = re.search(r"(?:^|`)(?:inbox|curl|websocat) [^`]*", rest, re.MULTILINE)
        assert example is not None, f"{head} has no example"


@dataclass
class House:
    """What there is in the organisation `default`, by the names that paths have for it."""

    names: dict[str, str]
    operator: str

    def path(self, route: Route) -> str:
        names = {**self.names, "id": self.operator} if route.path.startswith("/operators") else self.names
        item = {"item": self.names[route.path.split("/")[1]]} if "{item}" in route.path else {}
        query = NEEDS_QUERY.get(route.path, "")
        return (route.path + query).format(**names, **item)


async def furnish(shop: Any, boss: Any) -> House:
    """A conversation, with what can be named in it, and one of each thing that a team keeps."""
    shop.say("hello")
    await shop.delivered("read", 1)
    row = await boss.row()
    (said,) = await boss.items(row["id"], "bot.message")
    names = {
        "id": row["id"],
        "contact": row["contact"]["id"],
        "slug": "echo",
        "call": row["call"],
        "seq": "2",
        "part": "0",
        "delivery": said["delivery"]["id"],
    }
    for plural, body in (("canned", TEXT), ("views", {}), ("labels", {})):
        made = await boss.post(f"/{plural}", {"name": "shared", "shared": True, **body})
        assert made.status == 201
        names[plural] = made.body["id"]
    return House(names, boss.id)


async def ask(who: Any, route: Route, path: str, **headers: str) -> Any:
    body = b"hello" if route.path == "/uploads" else None
    more = {"data": body} if body else {}
    headers = {"Idempotency-Key": "k", **headers}
    return await who.ask(route.method, path, None if body else route.body, headers=headers, **more)


async def test_every_route_is_for_its_role_and_for_nobody_without_one(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    staff = {role: await hire(shop, role, role=role) for role in RANKS}
    house = await furnish(shop, staff["admin"])
    for route in ROUTES:
        path = house.path(route)
        async with shop.http.request(route.method, f"{shop.url}/v1/inbox{path}") as answer:
            assert answer.status == 401, f"{route} is open to everybody"
            assert answer.headers["Cache-Control"] == "no-store"
        for role, who in staff.items():
            if RANKS[role] < RANKS[route.role]:
                refused = await ask(who, route, path)
                assert (refused.status, refused.error) == (403, "forbidden"), f"{route} is open to a {role}"
        if route.method != "GET":
            forged = {CSRF_HEADER: ""}
            refused = await ask(staff["admin"], route, path, **forged)
            assert (refused.status, refused.error) == (403, "csrf"), f"{route} asks for no CSRF token"
            refused = await ask(staff["admin"], route, path, Origin="https://evil.example")
            assert (refused.status, refused.error) == (403, "csrf"), f"{route} is open to other pages"
    assert not [item for item in await staff["admin"].items(house.names["id"]) if item["id"].startswith("case:")]


async def test_no_route_knows_anything_of_another_organisation(
    open_shop: OpenShop, hire: Hire, program: Hire, embedded: dict[str, Any]
) -> None:
    stranger = agent_of("stranger", number="555000111", org="other")
    shop = await open_shop(embedded, agent_of(), stranger)
    boss, outsider = await hire(shop, "boss", role="admin"), await hire(shop, "boss", role="admin", org="other")
    outside_key = await program(shop, org="other")
    house = await furnish(shop, boss)
    log = len(await shop.log())
    for route in ROUTES:
        path = house.path(route)
        for who in (outsider, outside_key):
            if route.path in ("/live", "/me"):
                continue
            found = await ask(who, route, path)
            if route.names or "{id}" in NEEDS_QUERY.get(route.path, ""):
                assert found.status == 404, f"{route}: {found.status} {found.body}"
            else:
                told = str(found.body)
                for secret in (*house.names.values(), house.operator):
                    assert len(secret) < 6 or secret not in told, f"{route} tells of {secret}"
    await shop.quiet()
    assert len(await shop.log()) == log
    assert (await boss.row())["case"] == 0
    page = await outsider.look_on()
    await page.say(type="open", conversation=house.names["id"], after=None)
    assert (await page.heard(lambda frame: frame["type"] == "gone"))["ids"] == [house.names["id"]]
    shop.say("again")
    await shop.answers(2)
    await page.say(type="ping")
    await page.heard(lambda frame: frame["type"] == "pong")
    assert house.names["id"] not in str([frame for frame in page.frames if frame["type"] != "gone"])


async def test_what_boss_may_do_is_there(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    """The same requests as above, by somebody who may: so that a 404 there was not a wrong path."""
    account = {"waba_id": "318450992714406"}
    shop = await open_shop(embedded, agent_of(channel=account), simulator=account)
    boss = await hire(shop, "boss", role="admin")
    house = await furnish(shop, boss)
    for route in ROUTES:
        if route.path == "/live":
            continue
        found = await ask(boss, route, house.path(route))
        # no file, no recording, and no other person, is there
        missing = {f"{C}/media/{{call}}/{{seq}}/{{part}}", f"{C}/recordings/{{call}}", f"{P}/merge"}
        aloud = {f"{C}/{act}" for act in ("hold", "mute", "keys", "forward", "hang-up", "seat")}
        failed = {f"{C}/messages/{{delivery}}/retry", *aloud}  # it is in writing
        if route.path in missing:
            assert found.status == 404
        elif route.path in failed:
            assert found.status == 409
        else:
            assert found.status < 300, f"{route}: {found.status} {found.body}"

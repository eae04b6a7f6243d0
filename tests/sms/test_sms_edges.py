"""Where a token could leave us, and what a request may not say twice."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import RefusedError
from channels.sms.rest import Rest
from tests.sms.desk import ADA, line_of


async def test_a_redirect_of_the_api_is_not_followed_with_the_accounts_token() -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"sid": "SM1"}, status=201)

    far_app, near_app = web.Application(), web.Application()
    far_app.router.add_route("*", "/{any:.*}", elsewhere)
    async with TestServer(far_app) as far:

        async def moved(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": str(far.make_url("/x"))})

        near_app.router.add_route("*", "/{any:.*}", moved)
        async with TestServer(near_app) as near, aiohttp.ClientSession() as session:
            rest = Rest(str(near.make_url("")).rstrip("/"), session, 5)
            with pytest.raises(RefusedError):
                await rest.send(line_of(), ADA, "hello", None, None)
    assert seen == []

"""The Graph side: ``/{version}/…`` as a client of the Cloud API knows it.

Source: WhatsApp Cloud API, messages, media, phone number, message templates and subscribed apps references.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable

from aiohttp import BodyPartReader, hdrs, web

from channels.whatsapp.simulator.errors import GraphError, invalid, no_such_object
from channels.whatsapp.simulator.faults import FaultPlace
from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.media import UPLOAD_BYTES, check_upload
from channels.whatsapp.simulator.mishaps import Mishaps, endless, half, reset
from channels.whatsapp.simulator.outbound import Outbound, check
from channels.whatsapp.simulator.people import Person
from channels.whatsapp.simulator.settings import SimulatorSettings
from channels.whatsapp.simulator.simulator import Simulator
from channels.whatsapp.simulator.statuses import SentMessage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LINK_ROUTE = "whatsapp-simulator-media"


class GraphSide:
    """Handlers of the Graph calls of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        settings = simulator.settings
        self._bearer = f"Bearer {settings.access_token}".encode()
        self._proof = proof_of(settings)
        self._mishaps = Mishaps(simulator)
        self._version = re.compile(settings.graph_version)

    def routes(self) -> list[web.RouteDef]:
        version = "{version:v\\d+\\.\\d+}"
        return [
            web.post(f"/{version}/{{number}}/messages", self._graph(self._messages)),
            web.post(f"/{version}/{{number}}/calls", self._graph(self._calls)),
            web.get(f"/{version}/{{number}}/call_permissions", self._graph(self._call_permissions)),
            web.post(f"/{version}/{{number}}/media", self._graph(self._upload)),
            web.get(f"/{version}/{{waba}}/message_templates", self._graph(self._templates)),
            web.route("*", f"/{version}/{{waba}}/subscribed_apps", self._graph(self._subscribed_apps)),
            web.route("*", f"/{version}/{{object}}", self._graph(self._object)),
            web.get("/media-content/{token}", self._graph(self._download), name=LINK_ROUTE, allow_head=False),
            web.route("*", f"/{version}/{{rest:.*}}", self._graph(self._unknown)),
        ]

    def _graph(self, handler: Handler) -> Handler:
        """What all Graph calls share: the version, the token, error bodies."""

        async def answer(request: web.Request) -> web.StreamResponse:
            version = request.match_info.get("version")
            try:
                if version is not None and not self._version.fullmatch(version):
                    raise GraphError(
                        2500, message=f"Unknown path components: /{version[:20]}", http=400, kind="OAuthException"
                    )
                response = await handler(request)
            except GraphError as error:
                self._simulator.stats.errors[error.code] += 1
                headers = dict(error.headers)
                if error.http == 401:
                    headers["WWW-Authenticate"] = 'OAuth "Facebook Platform" "invalid_token"'
                response = self._json(error.body(self._simulator.ids.trace()), error.http, headers)
            if version is not None and not response.prepared:
                response.headers["facebook-api-version"] = version
            return response

        return answer

    def _json(self, body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        return web.Response(
            body=json.dumps(body, separators=(",", ":")).encode(),
            status=status,
            headers=headers,
            content_type="application/json",
            charset="UTF-8",
        )

    def _authorize(self, request: web.Request, form: Json | None = None) -> None:
        """The bearer token, and the proof when one is given or required. Raises 190 and 104."""
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._bearer):
            if not given:
                raise GraphError(190, message="An access token is required to request this resource.", http=401)
            raise GraphError(190, message="Invalid OAuth access token - Cannot parse access token", http=401)
        proof = request.query.get("appsecret_proof") if request.query_string else None
        if proof is None and form is not None and isinstance(form.get("appsecret_proof"), str):
            proof = str(form["appsecret_proof"])
        if proof is None:
            if self._simulator.rules.require_appsecret_proof:
                raise GraphError(104)
        elif not hmac.compare_digest(proof.encode("utf-8", "surrogateescape"), self._proof):
            raise GraphError(104, message="Invalid appsecret_proof provided in the API argument")

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        number = request.match_info["number"]
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        form: Json | None = body if isinstance(body, dict) else None
        if form is not None and form.get("status") is not None:
            return await self._read(request, number, form)
        simulator.stats.requests["messages"] += 1
        recipients = _recipients(simulator, form)
        kind = str(form.get("type", "text")) if form is not None else ""
        faults = simulator.faults.take("messages", phone_number_id=number, recipients=recipients, kind_of_message=kind)
        decided = await self._mishaps.suffer(request, faults)
        if decided is not None:
            return decided
        self._authorize(request, form)
        simulator.own_number(number, "post")
        if form is None:
            raise invalid("The request body must be one JSON object.")
        outbound = check(form)
        fault = faults[-1].rule if faults else None
        failure: GraphError | None = None
        if fault is not None and fault.kind in ("async_failure", "window_closed"):
            failure = fault.error()
            if fault.kind == "window_closed" and simulator.rules.window_failure == "sync":
                raise failure
        sent, person = simulator.accept(number, outbound, failure=failure)
        if fault is not None and fault.kind == "accept_then_reset":
            return reset(request)
        if fault is not None and fault.kind == "accept_then_hang":
            return await self._mishaps.hang(request)
        return self._json(accepted(sent, outbound, phone_hidden=person.phone_hidden))

    async def _read(self, request: web.Request, number: str, form: Json) -> web.StreamResponse:
        simulator = self._simulator
        simulator.stats.requests["read"] += 1
        decided = await self._mishaps.suffer(request, simulator.faults.take("read", phone_number_id=number))
        if decided is not None:
            return decided
        self._authorize(request, form)
        simulator.own_number(number, "post")
        if form.get("messaging_product") != "whatsapp":
            raise invalid("The parameter messaging_product is required.")
        if form["status"] != "read":
            raise invalid("Param status must be one of {READ}.")
        message_id = form.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise invalid("The parameter message_id is required.")
        typing = form.get("typing_indicator")
        if typing is not None and not (isinstance(typing, dict) and typing.get("type") == "text"):
            raise invalid("Param typing_indicator['type'] must be one of {TEXT}.")
        simulator.mark_read(number, message_id, typing=typing is not None)
        return self._json({"success": True})

    # -- calls ---------------------------------------------------------------------------------------------------------

    async def _calls(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        number = request.match_info["number"]
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        form: Json | None = body if isinstance(body, dict) else None
        simulator.stats.requests["calls"] += 1
        action = str(form.get("action", "")) if form is not None else ""
        faults = simulator.faults.take("calls", phone_number_id=number, kind_of_message=action)
        decided = await self._mishaps.suffer(request, faults)
        if decided is not None:
            return decided
        self._authorize(request, form)
        simulator.own_number(number, "post")
        if form is None:
            raise invalid("The request body must be one JSON object.")
        if action == "connect":
            answer = await simulator.calls.business_calls(_callee(simulator, form), number, form)
        else:
            answer = await simulator.calls.act(number, form)
        fault = faults[-1].rule.kind if faults else ""
        if fault == "accept_then_reset":
            return reset(request)
        if fault == "accept_then_hang":
            return await self._mishaps.hang(request)
        return self._json(answer)

    async def _call_permissions(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        number = request.match_info["number"]
        self._simulator.own_number(number, "get")
        person = _callee(self._simulator, {"to": request.query.get("user_wa_id", "")})
        return self._json(self._simulator.calls.permission(number, person.wa_id))

    # -- media ---------------------------------------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        number = request.match_info["number"]
        simulator.stats.requests["upload"] += 1
        decided = await self._mishaps.suffer(request, simulator.faults.take("upload", phone_number_id=number))
        if decided is not None:
            return decided
        if not request.content_type.startswith("multipart/"):
            self._authorize(request)
            raise invalid("Param file must be uploaded as multipart/form-data.")
        fields: Json = {}
        content: bytes | None = None
        filename = ""
        mime_type = ""
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    continue
                data = await _read_part(part)
                if part.name == "file":
                    content, filename = data, part.filename or ""
                    mime_type = part.headers.get(hdrs.CONTENT_TYPE, "")
                elif part.name:
                    fields[part.name] = data.decode("utf-8", "replace")
        except ValueError:
            raise invalid("The multipart body is broken.") from None
        self._authorize(request, fields)
        simulator.own_number(number, "post")
        if fields.get("messaging_product") != "whatsapp":
            raise invalid("The parameter messaging_product is required.")
        if content is None:
            raise invalid("The parameter file is required.")
        mime_type = mime_type or str(fields.get("type", ""))
        check_upload(mime_type, len(content))
        media = simulator.media.put(number, mime_type, content, filename=filename, owner="business")
        return self._json({"id": media.id})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        simulator.stats.requests["download"] += 1
        faults = simulator.faults.take("download")
        decided = await self._mishaps.suffer(request, faults)
        if decided is not None:
            return decided
        self._authorize(request)
        if not request.headers.get(hdrs.USER_AGENT):
            return web.Response(status=403, text="User-Agent required")
        media = simulator.media.follow(request.match_info["token"])
        kind = faults[-1].rule.kind if faults else ""
        if media is None or kind == "expired_url":
            return web.Response(status=404, text="URL signature expired")
        if kind == "redirect_private":
            return web.Response(status=302, headers={hdrs.LOCATION: faults[-1].rule.location})
        if kind == "oversize":
            return await endless(request, media, faults[-1].rule.bytes)
        if kind == "truncated":
            return await half(request, media)
        content = media.content
        if kind == "wrong_digest":
            content = bytes(byte ^ 0xFF for byte in content[:1024]) + content[1024:]
        return web.Response(body=content, headers={hdrs.CONTENT_TYPE: media.mime_type})

    # -- objects -------------------------------------------------------------------------------------------------------

    async def _object(self, request: web.Request) -> web.StreamResponse:
        """``GET`` of a number, account or media, ``DELETE`` of media."""
        simulator = self._simulator
        identifier = request.match_info["object"]
        settings = simulator.settings
        place: FaultPlace = "number" if identifier in settings.phone_number_ids else "lookup"
        simulator.stats.requests[place] += 1
        decided = await self._mishaps.suffer(request, simulator.faults.take(place, phone_number_id=identifier))
        if decided is not None:
            return decided
        self._authorize(request)
        verb = request.method.lower()
        if verb == "get" and identifier in settings.phone_number_ids:
            return self._json(_fields(request, number_fields(settings, identifier)))
        if verb == "get" and identifier == settings.waba_id:
            account: Json = {
                "id": identifier,
                "name": settings.verified_name,
                "message_template_namespace": "simulated",
            }
            return self._json(_fields(request, account))
        media = simulator.media.find(identifier)
        owner = request.query.get("phone_number_id")
        if media is None or (owner is not None and owner != media.phone_number_id) or verb not in ("get", "delete"):
            raise no_such_object(identifier[:64], verb)
        if verb == "delete":
            simulator.media.delete(identifier)
            return self._json({"success": True})
        url = request.app.router[LINK_ROUTE].url_for(token=simulator.media.link(media))
        base = settings.public_url.rstrip("/") if settings.public_url else str(request.url.origin())
        return self._json(
            {
                "messaging_product": "whatsapp",
                "url": f"{base}{url}",
                "mime_type": media.mime_type,
                "sha256": media.sha256.hex(),
                "file_size": len(media.content),
                "id": media.id,
            }
        )

    async def _templates(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        self._account(request, "get")
        templates = [t.as_graph(str(10_000 + i)) for i, t in enumerate(self._simulator.templates.all())]
        wanted = request.query.get("fields")
        if wanted:
            keep = {*wanted.split(","), "id"}
            templates = [{name: value for name, value in t.items() if name in keep} for t in templates]
        name = request.query.get("name")
        if name is not None:
            templates = [t for t in templates if t.get("name") == name]
        first = int(after) if (after := request.query.get("after", "")).isdigit() else 0
        limit = int(asked) if (asked := request.query.get("limit", "")).isdigit() else 25
        page = templates[first : first + limit]
        cursors = {"before": str(first), "after": str(first + len(page))}
        return self._json({"data": page, "paging": {"cursors": cursors}})

    async def _subscribed_apps(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        self._account(request, request.method.lower())
        simulator = self._simulator
        if request.method in ("POST", "DELETE"):
            simulator.subscribed = request.method == "POST"
            return self._json({"success": True})
        app: Json = {"whatsapp_business_api_data": {"link": "https://example.test", "name": "omni", "id": "5200"}}
        return self._json({"data": [app] if simulator.subscribed else []})

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        raise no_such_object(request.match_info["rest"][:64], request.method.lower())

    def _account(self, request: web.Request, verb: str) -> None:
        if request.match_info["waba"] != self._simulator.settings.waba_id:
            raise no_such_object(request.match_info["waba"][:64], verb)


def proof_of(settings: SimulatorSettings) -> bytes:
    """``appsecret_proof``: hex HMAC-SHA256 of the access token under the app secret."""
    return hmac.digest(settings.app_secret.encode(), settings.access_token.encode(), "sha256").hex().encode()


def accepted(sent: SentMessage, outbound: Outbound, *, phone_hidden: bool = False) -> Json:
    """The body of a 200 answer to a send."""
    contact: Json = {"input": outbound.input, "wa_id": sent.wa_id, "user_id": sent.user_id}
    if phone_hidden:
        del contact["wa_id"]
    message: Json = {"id": sent.id}
    if sent.type == "template":
        message["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}


def number_fields(settings: SimulatorSettings, phone_number_id: str) -> Json:
    """Everything known about a business number."""
    return {
        "verified_name": settings.verified_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": settings.display_number(phone_number_id),
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "name_status": "APPROVED",
        "status": "CONNECTED",
        "id": phone_number_id,
    }


def _fields(request: web.Request, known: Json) -> Json:
    wanted = request.query.get("fields")
    if not wanted:
        return known
    keep = {name.strip() for name in wanted.split(",")} | {"id"}
    return {name: value for name, value in known.items() if name in keep}


def _callee(simulator: Simulator, form: Json) -> Person:
    """Whom the business wants to call."""
    to, user = str(form.get("to") or "").removeprefix("+"), str(form.get("recipient") or "")
    person = simulator.people.find_user(user) if user else simulator.people.meet(to) if to.isdigit() else None
    if person is None:
        raise GraphError(138001, "The user cannot be called.", http=400)
    return person


def _recipients(simulator: Simulator, form: Json | None) -> tuple[str, ...]:
    """Every id by which a fault rule may name the recipient of this body."""
    if form is None or not simulator.faults.all():
        return ()
    names = [str(form[key]).lstrip("+") for key in ("to", "recipient") if form.get(key)]
    for name in list(names):
        person = simulator.people.find(name) or simulator.people.find_user(name)
        if person is not None:
            names += [person.wa_id, person.user_id]
    return tuple(names)


async def _read_part(part: BodyPartReader) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        content += chunk
        if len(content) > UPLOAD_BYTES:
            raise GraphError(100, "The file is larger than 100 MB.", http=413)
    return bytes(content)

"""The control API under ``/control``: what a test, a benchmark or the demo page does to the simulator. JSON both ways.

========= ========================= ==================================================================================
method    path                      does
========= ========================= ==================================================================================
GET       state                     numbers, people and their windows, plans, rules, faults, cursor; no secrets
POST      messages                  a user sends ``{"from", "type", …}`` (classes of ``inbound.py``) -> ``{"id"}``
POST      media?filename=           raw bytes with their Content-Type -> ``{"id", "mime_type", "sha256", …}``
GET       media/{id}                the bytes of any media, for the demo page
POST      webhooks                  ``{"value", "field"}`` or ``{"raw": "text"}``; ``signature`` valid, wrong or missing
GET       sent?after=&to=&limit=    what was accepted from the business, in order; ``after`` is a ``seq``
GET       events?after=             server-sent events of everything; ``Last-Event-ID`` wins over ``after``
GET       journal?after=&limit=     the same as one JSON list
GET       faults                    rules in force
POST      faults                    add one (``FaultRule``) -> ``{"id", …}``
DELETE    faults, faults/{id}       remove all, or one
POST      calls                     a user calls: ``{"from", "phone_number_id"?}`` -> the call
GET       calls                     all of them
POST      calls/{id}                ``{"action": "hang_up" | "accept"}``
POST      calls/{id}/sound          a WAV (16-bit, mono, 48,000) that the user says
GET       calls/{id}/sound          the same of all that the user has heard
GET, PUT  call-plan                 the ``CallPlan``: what users do when the business calls them
GET, PUT  statuses                  the ``StatusPlan``
POST      statuses                  report one now: ``{"id", "status", "code"?, "details"?}``
GET, PUT  webhook-plan              the ``WebhookPlan``
GET, PUT  rules                     the ``Rules``
POST      windows                   ``{"wa_id", "action": "open"|"close", "phone_number_id"?}``
GET, POST people                    list, or add ``{"wa_id", "name", "username"?, "phone_hidden"?, "user_id"?}``
POST      templates                 add an approved ``Template``
POST      media-links/expire        make every media URL handed out so far too old
POST      handshake                 run the GET verification -> ``{"ok", "status", "reason"}``
GET       stats                     counters; see ``Stats`` and ``WebhookCounts``
GET       trackers?min=2&limit=     ``biz_opaque_callback_data`` values accepted at least ``min`` times
GET       trackers/{tracker}        how often one was accepted
POST      reset                     start again
========= ========================= ==================================================================================

A wrong request is answered with 400 or 404 and ``{"error": "a sentence"}``. Requests that another site's page makes a
browser send are refused with 403.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from pydantic import ValidationError

from channels.whatsapp.simulator.calls.control import CallControl
from channels.whatsapp.simulator.control_bodies import NewPerson, RawWebhook, StatusReport, WindowChange
from channels.whatsapp.simulator.control_errors import ControlError, answered, body_of, changed
from channels.whatsapp.simulator.errors import GraphError
from channels.whatsapp.simulator.faults import FaultRule
from channels.whatsapp.simulator.ids import Json, business_scoped_id
from channels.whatsapp.simulator.inbound import USER_MESSAGE, UnknownMedia
from channels.whatsapp.simulator.media import UPLOAD_BYTES
from channels.whatsapp.simulator.people import Person
from channels.whatsapp.simulator.settings import WebhookPlan
from channels.whatsapp.simulator.simulator import Simulator, UnknownNumber
from channels.whatsapp.simulator.templates import Template
from channels.whatsapp.simulator.webhooks import encode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/webp", "image/gif", "audio/", "video/")
_HEARTBEAT_SECONDS = 15.0


class ControlSide:
    """Handlers of the control API of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, str, Handler]] = [
            ("GET", "state", self._state),
            ("POST", "messages", self._message),
            ("POST", "media", self._upload),
            ("GET", "media/{id}", self._media),
            ("POST", "webhooks", self._webhook),
            ("GET", "sent", self._sent),
            ("GET", "events", self._events),
            ("GET", "journal", self._journal),
            ("GET", "faults", self._faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("DELETE", "faults/{id}", self._remove_fault),
            *CallControl(self._simulator).table(),
            ("GET", "statuses", self._status_plan),
            ("PUT", "statuses", self._set_status_plan),
            ("POST", "statuses", self._report_status),
            ("GET", "webhook-plan", self._webhook_plan),
            ("PUT", "webhook-plan", self._set_webhook_plan),
            ("GET", "rules", self._rules),
            ("PUT", "rules", self._set_rules),
            ("POST", "windows", self._window),
            ("GET", "people", self._people),
            ("POST", "people", self._add_person),
            ("POST", "templates", self._add_template),
            ("POST", "media-links/expire", self._expire_links),
            ("POST", "handshake", self._handshake),
            ("GET", "stats", self._stats),
            ("GET", "trackers", self._trackers),
            ("GET", "trackers/{tracker:.+}", self._tracker),
            ("POST", "reset", self._reset),
        ]
        return [web.route(method, f"/control/{path}", self._guard(handler)) for method, path, handler in table]

    def _guard(self, handler: Handler) -> Handler:
        """Turn exceptions into sentences, and keep other sites' pages out of a simulator on localhost."""

        async def answer(request: web.Request) -> web.StreamResponse:
            origin = request.headers.get(hdrs.ORIGIN)
            foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
            if foreign or (origin is not None and urlsplit(origin).netloc != request.host):
                return answered({"error": "The control API answers pages of its own origin only."}, 403)
            try:
                return await handler(request)
            except ControlError as error:
                return answered({"error": str(error)}, error.status)
            except (UnknownNumber, UnknownMedia) as error:
                return answered({"error": str(error.args[0])}, 404)
            except ValidationError as error:
                return answered({"error": _sentence(error)}, 400)

        return answer

    # -- users and webhooks --------------------------------------------------------------------------------------------

    async def _message(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        body.setdefault("type", "text")
        return answered({"id": self._simulator.user_sends(USER_MESSAGE.validate_python(body))}, 201)

    async def _upload(self, request: web.Request) -> web.Response:
        content = bytearray()
        async for chunk in request.content.iter_chunked(64 * 1024):
            content += chunk
            if len(content) > UPLOAD_BYTES:
                raise ControlError("The file is larger than 100 MB, the most a user can send.", 413)
        if not content:
            raise ControlError("The body is empty; send the bytes of the file with their Content-Type.")
        simulator = self._simulator
        number = request.query.get("phone_number_id", simulator.settings.phone_number_id)
        simulator.check_number(number)
        mime_type = request.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
        filename = request.query.get("filename", "")
        media = simulator.media.put(number, mime_type, bytes(content), filename=filename, owner="user")
        return answered(media.as_json(), 201)

    async def _media(self, request: web.Request) -> web.Response:
        media = self._simulator.media.find(request.match_info["id"])
        if media is None:
            raise ControlError("There is no media with this id.", 404)
        inline = media.base_type.startswith(_SHOWN_INLINE)
        headers = {
            "Content-Type": media.mime_type if inline else "application/octet-stream",
            "Content-Disposition": "inline" if inline else "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=3600",
        }
        return web.Response(body=media.content, headers=headers)

    async def _webhook(self, request: web.Request) -> web.Response:
        webhook = RawWebhook.model_validate(await body_of(request))
        simulator = self._simulator
        if webhook.raw is not None:
            simulator.webhooks.post_raw(webhook.raw.encode("utf-8", "surrogatepass"), webhook.signature)
        else:
            change: Json = {"value": webhook.value, "field": webhook.field}
            entry: Json = {"id": simulator.settings.waba_id, "changes": [change]}
            body = encode({"object": "whatsapp_business_account", "entry": [entry]})
            simulator.webhooks.post_raw(body, webhook.signature)
        return answered({"queued": True}, 202)

    async def _window(self, request: web.Request) -> web.Response:
        change = WindowChange.model_validate(await body_of(request))
        until = self._simulator.set_window(
            change.wa_id.removeprefix("+"), is_open=change.action == "open", phone_number_id=change.phone_number_id
        )
        return answered({"wa_id": change.wa_id, "until": until})

    async def _people(self, _: web.Request) -> web.Response:
        return answered({"people": self._people_json()})

    async def _add_person(self, request: web.Request) -> web.Response:
        new = NewPerson.model_validate(await body_of(request))
        user_id = new.user_id or business_scoped_id(new.wa_id, self._simulator.settings.waba_id)
        person = Person(new.wa_id, new.name, user_id, new.username, new.phone_hidden)
        self._simulator.people.put(person)
        self._simulator.journal.add("person", person.as_json())
        return answered(person.as_json(), 201)

    async def _add_template(self, request: web.Request) -> web.Response:
        template = Template.model_validate(await body_of(request))
        self._simulator.templates.put(template)
        return answered(template.model_dump(), 201)

    async def _expire_links(self, _: web.Request) -> web.Response:
        self._simulator.media.expire_links()
        return answered({"expired": True})

    async def _handshake(self, _: web.Request) -> web.Response:
        result = await self._simulator.handshake()
        return answered({"ok": result.ok, "status": result.status, "reason": result.reason})

    # -- looking on ----------------------------------------------------------------------------------------------------

    async def _state(self, _: web.Request) -> web.Response:
        simulator = self._simulator
        settings = simulator.settings
        return answered(
            {
                "epoch": simulator.journal.epoch,
                "last_event": simulator.journal.last_id,
                "verified_name": settings.verified_name,
                "display_phone_number": settings.display_phone_number,
                "phone_number_id": settings.phone_number_id,
                "phone_number_ids": list(settings.phone_number_ids),
                "waba_id": settings.waba_id,
                "webhook_url": settings.webhook_url,
                "people": self._people_json(),
                "statuses": simulator.statuses.plan.model_dump(),
                "webhook_plan": simulator.webhooks.plan.model_dump(),
                "rules": simulator.rules.model_dump(),
                "faults": [fault.as_json() for fault in simulator.faults.all()],
            }
        )

    def _people_json(self) -> list[Json]:
        people = self._simulator.people
        number = self._simulator.settings.phone_number_id
        return [p.as_json() | {"window_until": people.window_until(number, p.wa_id)} for p in people.all()]

    async def _sent(self, request: web.Request) -> web.Response:
        after, limit = _whole(request, "after", 0), _whole(request, "limit", 10_000)
        found = self._simulator.sent(after=after, to=request.query.get("to"), limit=limit)
        return answered({"sent": [message.as_json() for message in found]})

    async def _journal(self, request: web.Request) -> web.Response:
        journal = self._simulator.journal
        events = journal.after(_whole(request, "after", 0), _whole(request, "limit", 1000))
        return answered(
            {"epoch": journal.epoch, "last_event": journal.last_id, "events": [e.as_json() for e in events]}
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        journal = self._simulator.journal
        last = request.headers.get("Last-Event-ID", "")
        cursor = int(last) if last.isascii() and last.isdigit() else _whole(request, "after", 0)
        if cursor > journal.last_id:
            cursor = 0  # from before a restart: tell the reader everything again
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers | {"X-Accel-Buffering": "no"})
        await response.prepare(request)
        epoch = ""
        try:
            while not journal.closed:
                if epoch != journal.epoch:
                    if epoch:
                        cursor = 0
                    epoch = journal.epoch
                    hello = json.dumps({"epoch": epoch, "last_event": journal.last_id, "after": cursor})
                    await response.write(f"event: hello\ndata: {hello}\n\n".encode())
                events = journal.after(cursor)
                if events:
                    lines = (f"id: {e.id}\nevent: {e.type}\ndata: {json.dumps(e.as_json())}\n\n" for e in events)
                    await response.write("".join(lines).encode())
                    cursor = events[-1].id
                    continue
                try:
                    async with asyncio.timeout(_HEARTBEAT_SECONDS):
                        await journal.changed(cursor)
                except TimeoutError:
                    await response.write(b": still here\n\n")
        except ConnectionError:
            pass  # the reader went away and will come back with its cursor
        return response

    async def _stats(self, _: web.Request) -> web.Response:
        simulator = self._simulator
        body = simulator.stats.as_json()
        body["webhooks"] = simulator.webhooks.counts.as_json()
        body["faults"] = dict(simulator.faults.applied)
        return answered(body)

    async def _trackers(self, request: web.Request) -> web.Response:
        found = self._simulator.stats.trackers(_whole(request, "min", 2), _whole(request, "limit", 10_000))
        return answered({"trackers": found})

    async def _tracker(self, request: web.Request) -> web.Response:
        tracker = request.match_info["tracker"]
        return answered({"tracker": tracker, "accepted": self._simulator.stats.times_accepted(tracker)})

    # -- faults, plans, rules ------------------------------------------------------------------------------------------

    async def _faults(self, _: web.Request) -> web.Response:
        return answered({"faults": [fault.as_json() for fault in self._simulator.faults.all()]})

    async def _add_fault(self, request: web.Request) -> web.Response:
        rule = FaultRule.model_validate(await body_of(request))
        return answered({"id": self._simulator.add_fault(rule)} | rule.model_dump(exclude_none=True), 201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._simulator.faults.clear()
        self._simulator.journal.add("faults", {"faults": []})
        return answered({"faults": []})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        faults = self._simulator.faults
        identifier = request.match_info["id"]
        if not identifier.isdigit() or not faults.remove(int(identifier)):
            raise ControlError(f"There is no fault '{identifier}'; it may have been used up.", 404)
        self._simulator.journal.add("faults", {"faults": [fault.as_json() for fault in faults.all()]})
        return answered({"faults": [fault.as_json() for fault in faults.all()]})

    async def _status_plan(self, _: web.Request) -> web.Response:
        return answered(self._simulator.statuses.plan.model_dump())

    async def _set_status_plan(self, request: web.Request) -> web.Response:
        self._simulator.statuses.plan = await changed(request, self._simulator.statuses.plan)
        return await self._status_plan(request)

    async def _report_status(self, request: web.Request) -> web.Response:
        report = StatusReport.model_validate(await body_of(request))
        sent = self._simulator.sent_message(report.id)
        if sent is None:
            raise ControlError("There is no accepted message with this id.", 404)
        failed = report.status == "failed" or report.code is not None
        error = GraphError(report.code or 131026, report.details) if failed else None
        person = self._simulator.people.meet(sent.wa_id)
        self._simulator.statuses.report(sent, person, report.status, error)
        return answered({"reported": True}, 202)

    async def _webhook_plan(self, _: web.Request) -> web.Response:
        return answered(self._simulator.webhooks.plan.model_dump())

    async def _set_webhook_plan(self, request: web.Request) -> web.Response:
        plan: WebhookPlan = await changed(request, self._simulator.webhooks.plan)
        self._simulator.webhooks.flush()
        self._simulator.webhooks.plan = plan
        return await self._webhook_plan(request)

    async def _rules(self, _: web.Request) -> web.Response:
        return answered(self._simulator.rules.model_dump())

    async def _set_rules(self, request: web.Request) -> web.Response:
        self._simulator.rules = await changed(request, self._simulator.rules)
        return await self._rules(request)

    async def _reset(self, _: web.Request) -> web.Response:
        self._simulator.reset()
        return answered({"epoch": self._simulator.journal.epoch})


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ControlError(f"'{name}' must be a whole number, not '{text[:40]}'.")
    return int(text)


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    more = error.error_count() - 1
    return f"'{place}': {first['msg']}" + (f" (and {more} more)" if more else "") + "."

"""The simulated business account as one object: state, and what each party can do to it.

The Graph side (``graph.py``) and the control side (``control.py``) are HTTP readings of this class.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from channels.whatsapp.simulator.calls.call import SimulatedCall
from channels.whatsapp.simulator.calls.calls import Calls
from channels.whatsapp.simulator.errors import GraphError, bad_value, no_such_object
from channels.whatsapp.simulator.faults import FaultRule, Faults
from channels.whatsapp.simulator.ids import Ids, Json
from channels.whatsapp.simulator.inbound import USER_MESSAGE, UserMessage, UserText
from channels.whatsapp.simulator.journal import Journal
from channels.whatsapp.simulator.limits import RateLimits
from channels.whatsapp.simulator.media import MediaShelf
from channels.whatsapp.simulator.outbound import Outbound, is_permission_request, media_ids
from channels.whatsapp.simulator.people import People, Person
from channels.whatsapp.simulator.settings import Rules, SimulatorSettings
from channels.whatsapp.simulator.stats import Stats
from channels.whatsapp.simulator.statuses import SentMessage, Statuses
from channels.whatsapp.simulator.templates import Templates
from channels.whatsapp.simulator.webhooks import HandshakeResult, Update, Webhooks, encode

TYPING_SECONDS = 25
MOST_UNREAD = 200  # of one conversation; the platform forgets after 30 days, a simulator sooner


class Heard(NamedTuple):
    """A message of a user: what the business may mark as read, quote or react to."""

    wa_id: str
    phone_number_id: str
    is_reaction: bool


class UnknownNumber(LookupError):
    """A control request names a business number that this simulator does not have."""


class Simulator:
    """A WhatsApp Business Account with its users.

    ``now`` gives epoch seconds and can be replaced in tests. Call ``start`` inside a running loop before use and
    ``close`` at the end; ``create_app`` does both.
    """

    def __init__(self, settings: SimulatorSettings | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.settings = settings or SimulatorSettings()
        self.now = now
        self.rules: Rules = self.settings.rules
        self.ids = Ids()
        self._random = random.Random(self.settings.seed)
        self.journal = Journal(self.settings.keep_events, now)
        self.people = People(self.settings.waba_id)
        self.faults = Faults(self.settings.seed)
        self.templates = Templates()
        self.limits = RateLimits()
        self.media = MediaShelf(self.ids, self.settings.keep_media_bytes, now)
        self.webhooks = Webhooks(self.settings, self.journal, self._random)
        self.statuses = Statuses(self.settings.statuses, self.webhooks, self.journal, self._random, now)
        self.stats = Stats(self.settings.keep_trackers, now)
        self.calls = Calls(
            self.journal, self._post_call, lambda number: _digits(self.settings.display_number(number)), now
        )
        self.subscribed = True
        self._sent: deque[SentMessage] = deque(maxlen=self.settings.keep_sent)
        self._sent_by_id: OrderedDict[str, SentMessage] = OrderedDict()
        self._seq = 0
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._unread: dict[tuple[str, str], list[str]] = {}
        self.closing = asyncio.Event()

    async def start(self) -> None:
        await self.webhooks.start()

    def begin_closing(self) -> None:
        """Let hanging requests and event streams end, so that the server can stop."""
        self.closing.set()
        self.journal.close()

    async def close(self) -> None:
        self.begin_closing()
        await self.calls.close()
        self.statuses.forget()
        await self.webhooks.close()

    def reset(self) -> None:
        """Forget messages, people, media, faults and counters; plans and rules go back to the settings."""
        self.calls.forget()
        self.statuses.forget()
        self.webhooks.forget()
        self.faults = Faults(self.settings.seed)
        self.people = People(self.settings.waba_id)
        self.templates = Templates()
        self.limits.clear()
        self.media.clear()
        self.stats = Stats(self.settings.keep_trackers, self.now)
        self.rules = self.settings.rules
        self.statuses.plan = self.settings.statuses
        self.webhooks.plan = self.settings.webhooks
        self.subscribed = True
        self._sent.clear()
        self._sent_by_id.clear()
        self._heard.clear()
        self._unread.clear()
        self._seq = 0
        self.journal.clear()

    # -- the business --------------------------------------------------------------------------------------------------

    def recipient(self, outbound: Outbound) -> Person:
        """Whom a message is for; a number nobody has used yet gets an owner."""
        if outbound.user_id:
            person = self.people.find_user(outbound.user_id)
            if person is None:
                raise GraphError(131026, "The business-scoped user id is not known to this business.", http=400)
            return person
        return self.people.meet(outbound.to)

    def accept(
        self,
        phone_number_id: str,
        outbound: Outbound,
        *,
        failure: GraphError | None = None,
    ) -> tuple[SentMessage, Person]:
        """Take a checked message from the business, or raise the ``GraphError`` that refuses it.

        ``failure`` makes it fail later, by a status.
        """
        person = self.recipient(outbound)
        if person.wa_id == _digits(self.settings.display_number(phone_number_id)):
            raise GraphError(131021)
        asks = is_permission_request(outbound)
        if asks:
            self.calls.check_request(phone_number_id, person.wa_id)
        media = [self.media.check_sendable(media_id, kind, phone_number_id) for kind, media_id in media_ids(outbound)]
        template, shown = self.templates.render(outbound.body) if outbound.type == "template" else (None, None)
        failure = failure or self._reaction_failure(outbound)
        now = self.now()
        if self.rules.rate_limits:
            if not self.limits.number_allows(phone_number_id, now, self.rules.numbers_per_second):
                raise GraphError(130429)
            if not self.limits.pair_allows(phone_number_id, person.wa_id, now):
                raise GraphError(131056)
        window_open = not self.rules.enforce_window or now < self.people.window_until(phone_number_id, person.wa_id)
        if template is None and not window_open and failure is None:
            failure = GraphError(131047)
            if self.rules.window_failure == "sync":
                raise failure
        self._seq += 1
        audio = outbound.body.get("audio")
        sent = SentMessage(
            seq=self._seq,
            at=now,
            id=self.ids.message(person.wa_id),
            phone_number_id=phone_number_id,
            wa_id=person.wa_id,
            user_id=person.user_id,
            type=outbound.type,
            tracker=outbound.tracker,
            body=outbound.body,
            shown=shown,
            category=template.category.lower() if template else "service",
            voice=isinstance(audio, dict) and audio.get("voice") is True,
        )
        self._sent.append(sent)
        if self.settings.keep_sent:
            self._sent_by_id[sent.id] = sent
            if len(self._sent_by_id) > self.settings.keep_sent:
                self._sent_by_id.popitem(last=False)
        self.stats.count_accepted(sent.tracker)
        event = sent.as_json()
        if media:
            event["media"] = [item.as_json() for item in media]
        self.journal.add("sent", event)
        if failure is not None:
            self.statuses.fail(sent, person, failure)
        else:
            self.statuses.follow(sent, person)
            if asks:
                self.calls.requested(phone_number_id, person.wa_id, lambda: self._permit(sent))
        return sent, person

    def _permit(self, sent: SentMessage) -> None:
        """The user answers a request for permission to call, as the plan says."""
        if self.calls.plan.permits != "ignore":
            self.user_permits(sent.wa_id, self.calls.plan.permits == "accept", sent.phone_number_id, reply_to=sent.id)

    def user_permits(
        self,
        wa_id: str,
        may_call: bool,
        number: str | None = None,
        *,
        permanent: bool = False,
        reply_to: str | None = None,
    ) -> str:
        """A user allows or refuses that the business calls them; the message's id."""
        number = number or self.settings.phone_number_id
        self.check_number(number)
        answer: Json = {"from": wa_id, "type": "call_permission", "phone_number_id": number, "reply_to": reply_to}
        if may_call:
            until = int(self.calls.permit(number, wa_id, permanent=permanent))
            answer |= {"response": "accept", "is_permanent": permanent, "expires": until or None}
        else:
            self.calls.forbid(number, wa_id)
            answer["response"] = "reject"
        return self.user_does(answer)

    def _reaction_failure(self, outbound: Outbound) -> GraphError | None:
        if outbound.type != "reaction":
            return None
        reaction = outbound.body["reaction"]
        assert isinstance(reaction, dict)  # checked by outbound.check
        target = str(reaction["message_id"])
        heard, sent = self._heard.get(target), self._sent_by_id.get(target)
        if (heard is not None and heard.is_reaction) or (sent is not None and sent.type == "reaction"):
            raise bad_value("reaction.message_id: a reaction cannot be reacted to.")
        if heard is None and sent is None:
            return bad_value("reaction.message_id: the message is unknown, deleted or older than 30 days.")
        return None

    def mark_read(self, phone_number_id: str, message_id: str, *, typing: bool) -> None:
        """Blue ticks for a message of the user and those before it; optionally the typing indicator for 25 s."""
        heard = self._heard.get(message_id)
        if heard is None or heard.phone_number_id != phone_number_id:
            raise bad_value("message_id: there is no received message with this id.")
        unread = self._unread.get((phone_number_id, heard.wa_id), [])
        until = unread.index(message_id) + 1 if message_id in unread else 0
        read, unread[:until] = unread[:until], []
        self.journal.add("read", {"to": heard.wa_id, "message_id": message_id, "message_ids": read})
        if typing:
            self.journal.add("typing", {"to": heard.wa_id, "until": self.now() + TYPING_SECONDS})

    # -- the users -----------------------------------------------------------------------------------------------------

    def user_sends(self, message: UserMessage) -> str:
        """A user writes, taps, reacts…; returns the message's id. Raises ``UnknownNumber`` or ``UnknownMedia``."""
        number = message.phone_number_id or self.settings.phone_number_id
        self.check_number(number)
        person = self.people.find(message.wa_id)
        if person is None or (message.name is not None and message.name != person.name):
            person = self.people.meet(message.wa_id, name=message.name)
            self.journal.add("person", person.as_json())
        item: Json = {} if person.phone_hidden else {"from": person.wa_id}
        identifier = message.id or self.ids.message(person.wa_id)
        timestamp = message.timestamp if message.timestamp is not None else int(self.now())
        item |= {"from_user_id": person.user_id, "id": identifier, "timestamp": str(timestamp)}
        context = self._context(message, number)
        if context:
            item["context"] = context
        if message.referral is not None:
            item["referral"] = message.referral
        item |= message.item(self.media)
        if message.opens_window:
            self.people.heard(number, person.wa_id, timestamp)
        self.remember(str(item["id"]), person.wa_id, number, is_reaction=item.get("type") == "reaction")
        self.stats.user_messages += 1
        event: Json = {"wa_id": person.wa_id, "phone_number_id": number, "message": item}
        event["window_until"] = self.people.window_until(number, person.wa_id)
        self.journal.add("user", event)
        contact = person.contact() if message.has_contact else None
        self.webhooks.add(Update(number, "messages", item, contact))
        return str(item["id"])

    def user_says(self, text: str, *, wa_id: str = "12025550171") -> str:
        """Shortest way to say something: a text message of one person, its id."""
        return self.user_sends(UserText.model_validate({"from": wa_id, "text": text}))

    def user_does(self, action: Json) -> str:
        """The same as a body of ``POST /control/messages``. Raises ``pydantic.ValidationError``."""
        return self.user_sends(USER_MESSAGE.validate_python(action))

    async def user_calls(self, wa_id: str = "12025550171", *, number: str | None = None, **how: Any) -> SimulatedCall:
        """A user calls the business; ``how`` is as in ``Calls.user_calls``. Raises ``UnknownNumber`` and
        ``CallsMissing``."""
        number = number or self.settings.phone_number_id
        self.check_number(number)
        person = self.people.meet(wa_id)
        self.people.heard(number, wa_id, self.now())
        return await self.calls.user_calls(person, number, **how)

    def _post_call(self, number: str, person: Person, value: Json) -> None:
        """A webhook of the field ``calls``."""
        head: Json = {"messaging_product": "whatsapp", "metadata": self.webhooks.metadata(number)}
        self.post_value({**head, "contacts": [person.contact()], **value}, "calls")

    def _context(self, message: UserMessage, number: str) -> Json:
        context: Json = {}
        if message.reply_to is not None:
            quoted = self._heard.get(message.reply_to)
            author = quoted.wa_id if quoted else _digits(self.settings.display_number(number))
            context = {"from": author, "id": message.reply_to}
        if message.forwarded:
            context["forwarded"] = True
        if message.frequently_forwarded:
            context["frequently_forwarded"] = True
        return context

    def remember(self, message_id: str, wa_id: str, number: str, *, is_reaction: bool = False) -> None:
        """Note a message of a user, so that it can be marked as read."""
        self._heard[message_id] = Heard(wa_id, number, is_reaction)
        unread = self._unread.setdefault((number, wa_id), [])
        unread.append(message_id)
        if len(unread) > MOST_UNREAD:
            del unread[0]
        if len(self._heard) > self.settings.keep_inbound:
            self._heard.popitem(last=False)

    def set_window(self, wa_id: str, *, is_open: bool, phone_number_id: str | None = None) -> float:
        """Open a user's window for 24 hours from now, or close it. Returns its end, epoch seconds."""
        number = phone_number_id or self.settings.phone_number_id
        self.check_number(number)
        if is_open:
            self.people.meet(wa_id)
            self.people.heard(number, wa_id, self.now())
        else:
            self.people.close_window(number, wa_id)
        until = self.people.window_until(number, wa_id)
        self.journal.add("window", {"wa_id": wa_id, "phone_number_id": number, "until": until})
        return until

    # -- looking on ----------------------------------------------------------------------------------------------------

    def check_number(self, phone_number_id: str) -> None:
        if phone_number_id not in self.settings.phone_number_ids:
            known = ", ".join(self.settings.phone_number_ids)
            raise UnknownNumber(f"There is no business number '{phone_number_id}' here; known: {known}.")

    def own_number(self, phone_number_id: str, verb: str) -> None:
        """Graph's own refusal for a number that is not there."""
        if phone_number_id not in self.settings.phone_number_ids:
            raise no_such_object(phone_number_id, verb)

    def sent(self, *, after: int = 0, to: str | None = None, limit: int | None = None) -> list[SentMessage]:
        """Kept messages of the business in order of acceptance, with ``seq`` above ``after``."""
        wanted = to.removeprefix("+") if to is not None else None
        found = (m for m in self._sent if m.seq > after and (wanted is None or wanted in (m.wa_id, m.user_id)))
        return list(islice(found, limit))

    def sent_message(self, message_id: str) -> SentMessage | None:
        return self._sent_by_id.get(message_id)

    async def wait_sent(
        self, count: int = 1, *, after: int = 0, to: str | None = None, timeout: float = 5.0
    ) -> list[SentMessage]:
        """The first messages of the business, once there are ``count`` of them. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            while True:
                cursor = self.journal.last_id
                found = self.sent(after=after, to=to)
                if len(found) >= count:
                    return found
                await self.journal.changed(cursor)

    def add_fault(self, rule: FaultRule) -> int:
        """Put a fault in force; returns its id."""
        fault = self.faults.add(rule)
        self.journal.add("faults", {"faults": [known.as_json() for known in self.faults.all()]})
        return fault.id

    async def handshake(self) -> HandshakeResult:
        """Verify the webhook URL as the dashboard does."""
        result = await self.webhooks.handshake()
        self.journal.add("handshake", {"ok": result.ok, "status": result.status, "reason": result.reason})
        return result

    def post_value(self, value: Json, field: str = "messages") -> None:
        """Post any ``value`` as a correctly signed webhook."""
        entry: Json = {"id": self.settings.waba_id, "changes": [{"value": value, "field": field}]}
        self.webhooks.post_raw(encode({"object": "whatsapp_business_account", "entry": [entry]}))


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())

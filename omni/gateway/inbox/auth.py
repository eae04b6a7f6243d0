"""Signing in and out: by e-mail and password, or by a one-time link. The provider's way is in `single.py`."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web
from pydantic import Field

from omni.access.operators.links import LinkError, Links
from omni.access.operators.oidc import OidcSettings
from omni.access.operators.passwords import BusyError, PasswordError, Passwords, check_password
from omni.access.operators.staff import LONGEST_EMAIL, Staff, StaffError, person_name
from omni.access.operators.throttle import Throttle
from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.guard import Actor, Guard
from omni.gateway.inbox.person import refusal, shown_self
from omni.model.base import DEFAULT_ORG, Config
from omni.model.operator import Operator
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.inbox")

WRONG: Final = (
    "the e-mail address and the password do not belong together; try again, or ask an admin for a sign-in link"
)
NO_PROFILE: Final = "an API key has no profile; sign in as an operator"


class SignInBody(Config):
    email: str = Field(max_length=1000)
    password: str = Field(max_length=10_000, repr=False)


class LinkBody(Config):
    token: str = Field(max_length=4_000, repr=False)


class PasswordChange(Config):
    """`old` is needed by whoever has a password."""

    old: str | None = Field(default=None, max_length=10_000, repr=False)
    new: str = Field(max_length=10_000, repr=False)


class ProfileChange(Config):
    name: str | None = None
    language: Literal["en", "es"] | None = None
    password: PasswordChange | None = None


@dataclass(frozen=True, slots=True)
class Doors:
    """What signing in is made of, shared by its routes. `changed` is told the organisation whose operators did."""

    guard: Guard
    store: Store
    staff: Staff
    passwords: Passwords
    throttle: Throttle
    links: Links
    version: str
    changed: Callable[[str], Awaitable[None]]

    async def admit(self, request: web.Request, operator: Operator, way: str) -> tuple[Actor, str]:
        """Begin a session; returns who it is now, and the cookie for `Guard.set_cookie`. `way` goes into the audit."""
        actor = Actor(operator.id, operator.name, operator.org, operator.role, operator.language, operator=operator)
        await self.guard.audit(actor, request, "operator.sign_in", operator.id, way=way)
        cookie, session = await self.guard.sessions.begin(operator)
        return self.guard.actor_of(session, operator), cookie


class SignIn:
    def __init__(self, doors: Doors, oidc: OidcSettings | None) -> None:
        self._doors = doors
        self._oidc = oidc

    def routes(self) -> list[web.RouteDef]:
        guard = self._doors.guard
        return [
            web.get("/v1/inbox/sign-in/options", guard.open(self.options)),
            web.post("/v1/inbox/sign-in", guard.open(self.sign_in)),
            web.post("/v1/inbox/sign-in/link", guard.open(self.by_link)),
            web.post("/v1/inbox/sign-out", guard.wrap("viewer", self.sign_out)),
            web.get("/v1/inbox/me", guard.wrap("viewer", self.me)),
            web.patch("/v1/inbox/me", guard.wrap("viewer", self.change_me)),
        ]

    async def options(self, _: web.Request) -> web.StreamResponse:
        """Asked by whoever sees the sign-in page: which ways in there are, and whether anybody could use them."""
        has_operator = bool(await self._doors.store.operators(DEFAULT_ORG))
        return answer({"oidc": {"name": self._oidc.name} if self._oidc else None, "needs_operator": not has_operator})

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The same steps for an address that nobody has, an operator without a password, and one with another."""
        doors = self._doors
        doors.guard.check_origin(request)
        body = await read_body(request, SignInBody)
        email, address = body.email.strip().lower()[:LONGEST_EMAIL], doors.guard.address(request)
        self._wait(email, address)
        try:
            operator = await doors.store.operator_by_email(email)
            hash_ = operator.password_hash if operator is not None else None
            is_right = await doors.passwords.verify(hash_, body.password)
        except (StoreError, BusyError) as error:
            doors.throttle.withdrawn(email, address)
            raise _busy(error) if isinstance(error, BusyError) else error from None
        if operator is None or hash_ is None or not is_right or operator.disabled_at is not None:
            log.info("a sign-in from %s was refused", address)
            raise InboxError(401, "refused", WRONG)
        doors.throttle.succeeded(email, address)
        operator = await self._refreshed(operator, hash_, body.password)
        return await self._admitted(request, operator, "password")

    async def by_link(self, request: web.Request) -> web.StreamResponse:
        doors = self._doors
        doors.guard.check_origin(request)
        body = await read_body(request, LinkBody)
        try:
            operator = await doors.links.open(body.token)
        except LinkError as error:
            raise InboxError(401, "refused", str(error)) from None
        return await self._admitted(request, operator, "link")

    async def sign_out(self, _: web.Request, actor: Actor) -> web.StreamResponse:
        response = answer({})
        if actor.session is not None:
            await self._doors.guard.sessions.end(actor.session)
            self._doors.guard.drop_cookie(response)
        return response

    async def me(self, _: web.Request, actor: Actor) -> web.StreamResponse:
        return answer(shown_self(actor, self._doors.version))

    async def change_me(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        """A changed password signs its owner out everywhere else."""
        doors = self._doors
        if actor.operator is None or actor.session is None:
            raise InboxError(403, "forbidden", NO_PROFILE)
        body = await read_body(request, ProfileChange)
        try:
            name = person_name(body.name) if body.name is not None else None
            hash_ = await self._new_hash(request, actor.operator, body.password) if body.password else None
            fields = sorted(body.model_fields_set)
            await doors.guard.audit(actor, request, "operator.profile", actor.id, fields=[*fields])
            changes = {
                **({"name": name} if name is not None else {}),
                **({"language": body.language} if "language" in body.model_fields_set else {}),
                **({"password_hash": hash_} if hash_ is not None else {}),
            }
            operator = await doors.staff.alter(actor.org, actor.id, lambda one: one.model_copy(update=changes))
        except StaffError as error:
            raise refusal(error) from None
        session = actor.session
        if hash_ is not None:
            session = await doors.guard.sessions.remark(session, operator)
        if name is not None:
            await doors.changed(actor.org)
        return answer(shown_self(doors.guard.actor_of(session, operator), doors.version))

    def _wait(self, email: str, address: str) -> None:
        wait = math.ceil(self._doors.throttle.attempt(email, address))
        if wait:
            raise InboxError(
                429,
                "too_many",
                f"too many attempts; try again in {wait} s, or ask an admin for a sign-in link",
                headers={"Retry-After": str(wait)},
                retry_after=wait,
            )

    async def _refreshed(self, operator: Operator, hash_: str, password: str) -> Operator:
        """With a hash of today's parameters."""
        newer = await self._doors.passwords.rehash(hash_, password)
        if newer is None:
            return operator

        def rehashed(one: Operator) -> Operator:
            return one.model_copy(update={"password_hash": newer}) if one.password_hash == hash_ else one

        try:
            return await self._doors.staff.alter(operator.org, operator.id, rehashed)
        except StaffError:
            return operator

    async def _admitted(self, request: web.Request, operator: Operator, way: str) -> web.StreamResponse:
        actor, cookie = await self._doors.admit(request, operator, way)
        response = answer(shown_self(actor, self._doors.version))
        self._doors.guard.set_cookie(request, response, cookie)
        return response

    async def _new_hash(self, request: web.Request, operator: Operator, change: PasswordChange) -> str:
        """Raises InboxError. A borrowed session must not be worth guesses at the old password without end."""
        passwords = self._doors.passwords
        if operator.password_hash is not None:
            address = self._doors.guard.address(request)
            self._wait(operator.email, address)
            try:
                is_right = await passwords.verify(operator.password_hash, change.old or "")
            except BusyError as error:
                self._doors.throttle.withdrawn(operator.email, address)
                raise _busy(error) from None
            if not is_right:
                raise InboxError(403, "refused", "this is not your password so far; type it again", "password.old")
            self._doors.throttle.succeeded(operator.email, address)
        try:
            return await passwords.hash(check_password(change.new, operator.email))
        except PasswordError as error:
            raise InboxError(422, "invalid", str(error), "password.new") from None


def _busy(error: BusyError) -> InboxError:
    return InboxError(503, "unavailable", str(error), headers={"Retry-After": "2"})

"""Signing in to the inbox, its people and its audit: the part of the inbox's surface that is about who one is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from aiohttp import web

from omni.access.access import Access
from omni.access.operators.links import Links
from omni.access.operators.oidc import Oidc, OidcError, OidcSettings
from omni.access.operators.passwords import Passwords
from omni.access.operators.staff import Staff
from omni.access.operators.throttle import Throttle
from omni.gateway.inbox.audit import Audit
from omni.gateway.inbox.auth import Doors, SignIn
from omni.gateway.inbox.guard import Guard
from omni.gateway.inbox.operators import Operators
from omni.gateway.inbox.single import SingleSignOn
from omni.settings import Settings, SettingsError
from omni.store.base import Store


def operator_routes(
    settings: Settings,
    access: Access,
    store: Store,
    guard: Guard,
    changed: Callable[[str], Awaitable[None]],
    *,
    passwords: Passwords | None = None,
    throttle: Throttle | None = None,
    clock: Callable[[], float] = time.time,
) -> list[web.RouteDef]:
    """`changed` is told an organisation whose operators did. Raises SettingsError when operators should sign in by a
    provider, and cannot."""
    oidc = _oidc(settings, access, store, clock)
    doors = Doors(
        guard=guard,
        store=store,
        staff=Staff(store, guard.sessions, clock=clock),
        passwords=passwords or Passwords(),
        throttle=throttle or Throttle(),
        links=Links(access.sealer, store, clock=clock),
        version=version("omni-server"),
        changed=changed,
    )
    return [
        *SignIn(doors, oidc.settings if oidc is not None else None).routes(),
        *SingleSignOn(doors, oidc).routes(),
        *Operators(doors).routes(),
        *Audit(guard, store).routes(),
    ]


def _oidc(settings: Settings, access: Access, store: Store, clock: Callable[[], float]) -> Oidc | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret
    wanted = OidcSettings(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret is not None else None,
        name=settings.oidc_name,
        domains=settings.oidc_domains,
        role=settings.oidc_role,
    )
    try:
        return Oidc(wanted, access.sealer, store, clock=clock)
    except OidcError as error:
        raise SettingsError(str(error)) from None

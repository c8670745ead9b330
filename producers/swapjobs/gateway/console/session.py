"""Who looks at the console, and what that person may do there.

Signed in with a key of the gateway: the browser has a random token in a cookie that no script can read, Redis knows
its digest and the key's. Where the gateway needs no key, whoever sits at this machine. Every change carries a token of
its own, derived from the cookie, which a page of somebody else does not know.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from swapjobs import actor
from swapjobs.contract.errors import AccessDenied, QueueUnavailable, ScopeMissing
from swapjobs.contract.scope import ALL_TENANTS
from swapjobs.gateway.auth import ANONYMOUS, Caller
from swapjobs.gateway.console import texts
from swapjobs.gateway.dependencies import Gateway, Parts
from swapjobs.gateway.problems import HttpProblem
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COOKIE: Final = "swapjobs-console"
LANGUAGE_COOKIE: Final = "swapjobs-language"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_FIELDS: Final = 200


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page."""

    caller: Caller
    token: str
    language: str

    @property
    def is_signed_in(self) -> bool:
        """Whether with a key; else nobody needs one here."""
        return self.caller is not ANONYMOUS

    @property
    def csrf(self) -> str:
        """What every change must carry."""
        return csrf_of(self.token)

    @property
    def sees_all(self) -> bool:
        """Whether all tenants' jobs, or one's alone."""
        return self.caller.sees_all

    @property
    def may_operate(self) -> bool:
        """Whether dispatch and tenants' limits may be changed."""
        return "operate" in self.caller.scopes

    @property
    def may_act(self) -> bool:
        """Whether jobs, batches and webhooks may be changed, those that are seen."""
        return self.may_operate or "act" in self.caller.scopes

    def tenant(self, asked: str | None) -> str | None:
        """Return whose things are looked at; None means everybody's.

        Raises:
            HttpProblem: those of another tenant than the key's.
        """
        if self.sees_all:
            return asked or None
        if asked not in {None, "", self.caller.tenant}:
            raise HttpProblem(403, "tenant: the key belongs to another tenant")
        return self.caller.tenant

    def one_tenant(self, asked: str | None) -> str:
        """Return whose things are looked at, where they are one tenant's."""
        tenant = self.tenant(asked)
        if tenant is None:
            return self.caller.tenant if self.caller.tenant != ALL_TENANTS else "default"
        return tenant

    def may_see(self, tenant: str | None) -> bool:
        """Whether what belongs to this tenant may be seen; None: to all of them."""
        return self.sees_all or tenant == self.caller.tenant

    def may_change(self, tenant: str | None) -> bool:
        """Whether what belongs to this tenant may be changed; None: to all of them."""
        return self.may_operate or (self.may_act and tenant == self.caller.tenant)


class Form:
    """The fields of a form that was sent."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """Return a field's first value, without blanks around it; empty where there is none."""
        return self._fields.get(name, [""])[0].strip()


def may_look(caller: Caller) -> bool:
    """Whether a key allows to see the console at all."""
    return not caller.scopes.isdisjoint({"read", "operate"})


def csrf_of(token: str) -> str:
    """Return what a change must carry that comes with this cookie."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()[:40]


def language_of(request: Request) -> str:
    """Return in which language to answer."""
    return texts.chosen(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def set_cookie(request: Request, name: str, value: str, max_age_s: int) -> None:
    """Let the answer set a cookie; an empty value takes it away."""
    is_https = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    age = max_age_s if value else 0
    text = f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_https else "")
    request.state.cookies = [*getattr(request.state, "cookies", []), text]


async def find_viewer(request: Request, gateway: Parts) -> Viewer:
    """Return who looks.

    Raises:
        SignInNeeded: nobody known, and the gateway needs a key.
        HttpProblem: it needs none, and the request comes from elsewhere than this machine.
    """
    token = request.cookies.get(COOKIE, "")
    caller = await _signed_in(gateway, token) if _TOKEN.fullmatch(token) else None
    if caller is None:
        try:
            caller = await gateway.access.allow_local(request)
        except AccessDenied:
            raise SignInNeeded from None
        if not _TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
            set_cookie(request, COOKIE, token, gateway.settings.console_session_s)
    return Viewer(caller, token, language_of(request))


async def viewing(request: Request, gateway: Gateway) -> Viewer:
    """Return who looks at the page that is asked for, and count the request.

    Raises:
        SignInNeeded: nobody known.
        ScopeMissing: the key does not allow to see jobs.
    """
    viewer = await find_viewer(request, gateway)
    request.state.caller = viewer.caller
    request.state.viewer = viewer
    request.state.headers = {}
    who = f"key {viewer.caller.key_id}" if viewer.is_signed_in else "somebody at this machine, without a key"
    actor.act(actor.Actor(who, "console"))
    gateway.access.count(viewer.caller, request.state.headers)
    if not may_look(viewer.caller):
        raise ScopeMissing("the console needs a key with the scope read or operate")
    return viewer


async def is_still_there(gateway: Parts, viewer: Viewer) -> bool:
    """Whether who looks is still signed in, with a key that is still valid; for pages that stay open.

    While Redis can't be asked the page stays, which says so.
    """
    try:
        if viewer.is_signed_in:
            return await _signed_in(gateway, viewer.token) == viewer.caller
        return not await run_in_threadpool(gateway.access.needs_key)
    except QueueUnavailable:
        return True


async def changing(request: Request, viewer: Annotated[Viewer, Depends(viewing)]) -> Form:
    """Return the form of a change, if it comes from a page of ours.

    Raises:
        HttpProblem: it does not carry what our pages know.
        ScopeMissing: the key allows no change.
    """
    form = await read_own_form(request, viewer)
    if not viewer.may_act:
        raise ScopeMissing("this key may look and change nothing")
    return form


async def read_own_form(request: Request, viewer: Viewer) -> Form:
    """Return the fields of a form that carries what only our pages know.

    Raises:
        HttpProblem: it is none.
    """
    form = await read_form(request)
    if not hmac.compare_digest(form["csrf"].encode(), viewer.csrf.encode()):
        raise HttpProblem(403, "the page is too old, or no page of this console: load it again", code="csrf")
    return form


async def read_form(request: Request) -> Form:
    """Return the fields of a form.

    Raises:
        HttpProblem: it is none.
    """
    try:
        text = (await request.body()).decode()
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise HttpProblem(400, "the body is no form") from None


async def _signed_in(gateway: Parts, token: str) -> Caller | None:
    def find() -> tuple[str | None, str] | None:
        with queue_errors():
            session = gateway.store.console_sessions.find(token)
        return (session.key_id, session.key_digest) if session else None

    session = await run_in_threadpool(find)
    return await gateway.access.identify_digest(*session) if session else None


Viewing = Annotated[Viewer, Depends(viewing)]
Changing = Annotated[Form, Depends(changing)]

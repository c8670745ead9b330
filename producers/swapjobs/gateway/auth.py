"""Who calls: API keys, their tenants, and how many requests each may make.

Without any key the gateway serves the tenant `default` to this machine alone. As soon as a key was made, also while the
gateway runs, every request needs one; that never goes back, since a revoked key stays in the list.
"""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool

from swapjobs.contract.errors import AccessDenied, ScopeMissing, TooManyRequests
from swapjobs.contract.scope import ALL_TENANTS, SCOPES, TENANT_SCOPES
from swapjobs.contract.urls import is_loopback
from swapjobs.gateway.key_rate import KeyRate
from swapjobs.gateway.problems import HttpProblem
from swapjobs.store.access.api_keys import digest, id_of
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from starlette.requests import Request

    from swapjobs.contract.scope import Scope
    from swapjobs.settings import GatewaySettings
    from swapjobs.store.access.api_keys import ApiKeys

_REMEMBERED_S: Final = 3.0  # a revoked key is refused after this
_REMEMBERED: Final = 10_000  # keys, known and unknown ones
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what the key allows. All but the operator's levers is done for this tenant alone."""

    tenant: str
    key_id: str
    scopes: frozenset[Scope] = frozenset(TENANT_SCOPES)

    @property
    def sees_all(self) -> bool:
        """Whether it may see the jobs of all tenants."""
        return "operate" in self.scopes or self.tenant == ALL_TENANTS

    def require(self, scope: str) -> None:
        """Check that the key allows this.

        Raises:
            ScopeMissing: it doesn't.
        """
        if scope not in self.scopes:
            raise ScopeMissing(
                f"this needs a key with the scope {scope}; `swapjobs keys create --scope {scope}` makes one"
            )


# A program of this machine, where no key was ever made: whoever runs the gateway.
ANONYMOUS: Final = Caller("default", "", frozenset(SCOPES))


class Access:
    """Knows keys. What Redis said of one is believed for 3 s, so that a request costs no round trip of its own."""

    def __init__(self, api_keys: ApiKeys, settings: GatewaySettings) -> None:
        self._keys = api_keys
        self._own = _own_keys(settings)
        self._remembered: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()
        self._needed = bool(self._own)
        self._asked_at = -_REMEMBERED_S
        rate = settings.gateway_key_rate
        self._rate = KeyRate(rate.calls, rate.period_s)

    def find(self, key_id: str, sent: str) -> Caller | None:
        """Return whose key has this id and digest; None for an unknown one. It may ask Redis: call it in a thread.

        Raises:
            QueueUnavailable: Redis cannot be asked.
        """
        asked_at = time.monotonic()
        with queue_errors():
            record = self._keys.find_by_digest(key_id, sent)
        caller = Caller(record.tenant, record.id, frozenset(record.scopes)) if record else None
        self._remembered[sent] = asked_at, caller
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return caller

    def needs_key(self) -> bool:
        """Whether requests need a key; asked of Redis every 3 s until there is one. Call it in a thread."""
        now = time.monotonic()
        if not self._needed and now - self._asked_at >= _REMEMBERED_S:
            with queue_errors():
                self._needed = self._keys.any()
            self._asked_at = now
        return self._needed

    async def identify(self, key: str) -> Caller:
        """Return whose key this is.

        Raises:
            AccessDenied: nobody's.
            QueueUnavailable: Redis cannot be asked.
        """
        caller = await self.identify_digest(id_of(key), digest(key))
        if caller is None:
            raise AccessDenied("the gateway does not know this key; `swapjobs keys create` makes one")
        return caller

    async def identify_digest(self, key_id: str | None, sent: str) -> Caller | None:
        """Return the same of a key of which only the id, if it has one, and the digest are known; None: nobody's.

        Raises:
            QueueUnavailable: Redis cannot be asked.
        """
        caller = next((caller for own, caller in self._own if hmac.compare_digest(own, sent)), None)
        if caller is None and key_id:
            asked_at, caller = self._remembered.get(sent, (-_REMEMBERED_S, None))
            if time.monotonic() - asked_at >= _REMEMBERED_S:
                caller = await run_in_threadpool(self.find, key_id, sent)
        return caller

    def count(self, caller: Caller, headers: dict[str, str]) -> None:
        """Count one request, and add the headers that tell how many are left.

        Kept in this process: in Redis it took 98 us and a round trip for each request.

        Raises:
            TooManyRequests: none is.
        """
        hit = self._rate.hit(caller.key_id, time.time())
        after_s = math.ceil(hit.reset_s)
        headers["RateLimit-Policy"] = f'"key";q={self._rate.amount};w={self._rate.period_s}'
        headers["RateLimit"] = f'"key";r={hit.remaining};t={after_s}'
        if not hit.passed:
            raise TooManyRequests("this key makes too many requests", retry_after_s=after_s)

    async def allow_local(self, request: Request) -> Caller:
        """Return the caller of a request without a key, where none is needed.

        Raises:
            AccessDenied: a key is needed.
            HttpProblem: the request comes from elsewhere than this machine's own programs.
        """
        if self._needed or await run_in_threadpool(self.needs_key):
            raise AccessDenied("send Authorization: Bearer <key>; `swapjobs keys create` makes one")
        problem = _not_from_here(request)
        if problem:
            raise HttpProblem(403, f"without keys the gateway serves this machine alone: {problem}")
        return ANONYMOUS


def _own_keys(settings: GatewaySettings) -> list[tuple[str, Caller]]:
    """Return digest and owner of the keys in the settings; their ids, for the log, are their places in the list."""
    pairs = [pair.get_secret_value().partition(":") for pair in settings.gateway_keys]
    return [(digest(key), Caller(tenant, f"settings-{place}")) for place, (tenant, _, key) in enumerate(pairs, 1)]


def _not_from_here(request: Request) -> str:
    """Return what shows that a request was not made by a program of this machine: a page in its browser, or a proxy.

    Its address too, although none but a gateway with keys listens elsewhere: a Redis that was emptied has no keys.
    """
    if request.client is None or not is_loopback(request.client.host):
        return "the request comes from another one"
    try:
        if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
            return "the header Host names another one"
    except ValueError:
        return "the header Host is not valid"
    if any(name in request.headers for name in _FORWARDED):
        return "a proxy passed the request on"
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers["host"]:
        return "a page of another origin sent it"
    return ""

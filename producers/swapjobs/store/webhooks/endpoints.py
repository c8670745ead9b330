"""The registered webhook endpoints: written in one atomic operation each, and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from swapjobs.contract.timestamps import time_of
from swapjobs.contract.webhook import Endpoint
from swapjobs.store import keys

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping
    from datetime import datetime

    import redis

    from swapjobs.store.functions import Functions

ALL_EVENTS: Final = "*"  # as an endpoint's `events`


class EndpointStore:
    """The endpoints in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def set(self, id_: str, tenant: str, fields: Mapping[str, str | int], *, limit: int = 0) -> str:
        """Make (`limit`: how many a tenant may have) or change an endpoint; without fields it is removed.

        Returns:
            `ok`, `full`, or `gone` when the tenant has no endpoint with this id.
        """
        flat = [item for pair in fields.items() for item in pair]
        return str(self._functions.call("endpoints/set", id_, tenant, limit, *flat))

    def send_test(self, id_: str, tenant: str, data: str) -> str:
        """Send an event `test` to one endpoint; return the delivery's id, empty where there is no such endpoint."""
        return str(self._functions.call("endpoints/send_test", id_, tenant, data))

    def get(self, id_: str, tenant: str) -> Endpoint | None:
        """Return one endpoint; None where the tenant has none with this id."""
        fields: Any = self._redis.hgetall(keys.endpoint(id_))
        return _endpoint(id_, fields) if fields.get("tenant") == tenant else None

    def list(self, tenant: str) -> builtins.list[Endpoint]:
        """Return the tenant's endpoints, oldest first."""
        ids = self._redis.smembers(keys.endpoints(tenant))
        endpoints = filter(None, (self.get(str(id_), tenant) for id_ in ids))
        return sorted(endpoints, key=lambda endpoint: (endpoint.created_at, endpoint.id))

    def disabled(self) -> builtins.list[Endpoint]:
        """Return all tenants' endpoints that are disabled, at the cost of a look at every one."""
        return [endpoint for endpoint in self.all() if endpoint.state == "disabled"]

    def all(self) -> builtins.list[Endpoint]:
        """Return the endpoints of all tenants."""
        ids = sorted(str(id_) for id_ in self._redis.smembers(keys.all_endpoints()))
        with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hgetall(keys.endpoint(id_))
            rows = zip(ids, pipe.execute(), strict=True)
        return [_endpoint(id_, fields) for id_, fields in rows if fields]


def _endpoint(id_: str, fields: Mapping[str, str]) -> Endpoint:
    """Return the endpoint made of what Redis holds."""
    events: Any = () if fields["events"] == ALL_EVENTS else fields["events"].split(",")
    return Endpoint(
        id=id_,
        tenant=fields["tenant"],
        url=fields["url"],
        events=tuple(events),
        state="enabled" if fields["state"] == "enabled" else "disabled",
        disabled_reason=fields.get("disabled_reason"),
        version=int(fields["version"]),
        rotating_until=time_of(fields, "rotating_until"),
        created_at=cast("datetime", time_of(fields, "created_at")),
        failing_since=time_of(fields, "failing_since"),
    )

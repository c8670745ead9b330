"""A tenant's endpoints: URLs that are told of its events, each with a secret of its own that is never stored."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from swapjobs.contract import webhook_signing
from swapjobs.contract.errors import EndpointNotFound, InvalidRequest, SettingsError
from swapjobs.contract.frozen import DEFERRED
from swapjobs.contract.job import Name, checked
from swapjobs.contract.urls import CallbackUrl, target_of
from swapjobs.contract.webhook import EVENT_TYPES, Endpoint, EndpointSecret
from swapjobs.contract.wrong_values import must_be_one_of
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.webhooks.endpoints import ALL_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import SecretStr

    from swapjobs.settings import CoreSettings
    from swapjobs.store.store import Store

MAX_ENDPOINTS: Final = 20
_NO_MASTER: Final = (
    "SWAPJOBS_WEBHOOK_MASTER_SECRET is not set: the secrets of registered endpoints are derived from it; make one with"
    " echo whsec_$(openssl rand -base64 32), give it to clients, gateways and workers, and never change it"
)


class Endpoints:
    """The endpoints in one Redis; a part of `Webhooks`."""

    def __init__(self, store: Store, settings: CoreSettings) -> None:
        self._store = store
        self._master = settings.webhook_master_secret

    def add(self, url: str, *, tenant: str = "default", events: Sequence[str] = ()) -> EndpointSecret:
        """Register a URL that is told of the tenant's events, or of those chosen; return it with its secret.

        Raises:
            InvalidRequest: the URL or an event is not valid, or the tenant has 20 endpoints already.
            SettingsError: there is no master secret to derive the endpoint's secret from.
        """
        self._check_master()
        checked(_NAME, "tenant", tenant)
        id_ = f"ep_{secrets.token_hex(8)}"
        fields = {
            "tenant": tenant,
            "state": "enabled",
            "version": 1,
            "created_at": self._now_ms(),
            **_chosen(url, events),
        }
        with queue_errors():
            if self._store.endpoints.set(id_, tenant, fields, limit=MAX_ENDPOINTS) == "full":
                raise InvalidRequest(f"tenant {tenant!r} has {MAX_ENDPOINTS} endpoints already; remove one first")
            self._store.audit.note("endpoint.add", tenant=tenant, target=id_)
        return self.secret(id_, tenant=tenant)

    def endpoints(self, *, tenant: str = "default") -> list[Endpoint]:
        """Return the tenant's endpoints, oldest first."""
        with queue_errors():
            return self._store.endpoints.list(tenant)

    def endpoint(self, id: str, *, tenant: str = "default") -> Endpoint:  # noqa: A002 - the field's name
        """Return one endpoint.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
        """
        with queue_errors():
            endpoint = self._store.endpoints.get(id, tenant)
        if endpoint is None:
            raise EndpointNotFound(f"tenant {tenant!r} has no webhook endpoint {id!a}")
        return endpoint

    def update(
        self,
        id: str,  # noqa: A002 - the field's name
        *,
        tenant: str = "default",
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Change an endpoint and return it; what is not given stays as it is.

        A new URL gets what is still pending too. Disabled, what is pending becomes undelivered, and nothing more is
        sent; enabled again, it can be replayed.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
            InvalidRequest: the URL or an event is not valid.
        """
        fields = _chosen(url, events)
        if enabled is not None:
            fields |= {"state": "enabled" if enabled else "disabled", "disabled_reason": "" if enabled else "by hand"}
        if enabled:
            fields |= {"failing_since": "", "failed_at": ""}
        if fields:
            self._change(id, tenant, fields, "endpoint.set")
        return self.endpoint(id, tenant=tenant)

    def rotate(self, id: str, *, tenant: str = "default", overlap_s: float = 86_400) -> EndpointSecret:  # noqa: A002
        """Give an endpoint a new secret; for `overlap_s` seconds the old one signs too, while the receiver changes.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
            SettingsError: there is no master secret.
        """
        self._check_master()
        until = self._now_ms() + int(overlap_s * 1000)
        fields = {"version": self.endpoint(id, tenant=tenant).version + 1, "rotating_until": until}
        self._change(id, tenant, fields, "endpoint.rotate")
        return self.secret(id, tenant=tenant)

    def secret(self, id: str, *, tenant: str = "default") -> EndpointSecret:  # noqa: A002 - the field's name
        """Return an endpoint with its newest secret and public key.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
            SettingsError: there is no master secret.
        """
        endpoint, master = self.endpoint(id, tenant=tenant), self._check_master()
        return EndpointSecret(
            **endpoint.model_dump(),
            secret=webhook_signing.endpoint_secret(master, id, endpoint.version),
            public_key=webhook_signing.endpoint_keys(master, id, endpoint.version).public,
        )

    def remove(self, id: str, *, tenant: str = "default") -> None:  # noqa: A002 - the field's name
        """Take an endpoint away; what is pending for it becomes undelivered.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
        """
        self._change(id, tenant, {}, "endpoint.remove")

    def _change(self, id_: str, tenant: str, fields: Mapping[str, str | int], action: str) -> None:
        with queue_errors():
            if self._store.endpoints.set(id_, tenant, fields) == "gone":
                raise EndpointNotFound(f"tenant {tenant!r} has no webhook endpoint {id_!a}")
            self._store.audit.note(action, tenant=tenant, target=id_, detail={"changed": sorted(fields)})

    def _now_ms(self) -> int:
        with queue_errors():
            return self._store.now_ms()

    def _check_master(self) -> SecretStr:
        if self._master is None:
            raise SettingsError(_NO_MASTER)
        return self._master


def _chosen(url: str | None, events: Sequence[str] | None) -> dict[str, str | int]:
    """Return the fields for what the user gave."""
    fields: dict[str, str | int] = {}
    if url is not None:
        checked_url = checked(_URL, "url", url)
        fields |= {"url": checked_url, "host": target_of(checked_url).site}
    if events is not None:
        unknown = [event for event in events if event not in EVENT_TYPES]
        if unknown:
            raise InvalidRequest(f"events: {must_be_one_of(unknown[0], EVENT_TYPES)}", field="events")
        fields["events"] = ",".join(dict.fromkeys(events)) or ALL_EVENTS
    return fields


_URL: Final[TypeAdapter[str]] = TypeAdapter(CallbackUrl, config=DEFERRED)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name, config=DEFERRED)

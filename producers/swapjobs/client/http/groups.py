"""The batches, webhooks and operations of a GatewayClient: the methods of these groups, over HTTP."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from swapjobs.client.http.answers import Reply, place, read
from swapjobs.client.http.at_redis_only import no_attribute
from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import BatchNotFound, DeliveryNotFound, EndpointNotFound, OperationNotFound
from swapjobs.contract.operation import Operation, OperationRequest
from swapjobs.contract.page import DeliveryPage
from swapjobs.contract.webhook import Delivery, Endpoint, EndpointSecret

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from swapjobs.client.http.transport import GatewayHttp

OPERATIONS: Final = "/v1/operations"
BATCHES: Final = "/v1/batches"
ENDPOINTS: Final = "/v1/webhooks/endpoints"
DELIVERIES: Final = "/v1/webhooks/deliveries"


_PAUSE_S: Final = 0.2


class _BatchPage(Reply):
    batches: list[Batch]
    next_cursor: str | None = None


class _Endpoints(Reply):
    endpoints: list[Endpoint]


class _Replayed(Reply):
    ids: list[str]
    next_cursor: str | None


def own(tenant: str) -> str | None:
    """Return the tenant for the gateway to compare with the key's; "default" means whichever that is."""
    return tenant if tenant != "default" else None


def text_of(when: datetime | None) -> str | None:
    """Return a time as ISO 8601."""
    return when.isoformat() if when else None


class _Operations(Reply):
    operations: list[Operation]


class GatewayOperations:
    """What is done to all jobs that fit a filter, as `swapjobs.client.operations.Operations`."""

    def __init__(self, http: GatewayHttp) -> None:
        self._http = http

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Tell what only a client at Redis has."""
            raise no_attribute(self, name, "operations")

    def start(self, kind: str, *, patience_s: float = 1.0, **filters: Any) -> Operation:
        """Begin an operation and return it; `tenant`: the key's, if it is left out."""
        request = OperationRequest.parse({"kind": kind, **filters})
        body = request.model_dump(mode="json", exclude_unset=True)
        operation = self._http.post(OPERATIONS, Operation, body, repeatable=False)
        until = time.monotonic() + patience_s
        while operation.status == "running" and time.monotonic() < until:
            time.sleep(_PAUSE_S)
            operation = self.get(operation.id)
        return operation

    def get(self, operation_id: str) -> Operation:
        """Return how far it is."""
        return self._http.get(place(OPERATIONS, operation_id, OperationNotFound), Operation)

    def list(self, *, tenant: str | None = None) -> builtins.list[Operation]:
        """Return the newest operations: a tenant's key sees those on its own jobs."""
        return self._http.get(OPERATIONS, _Operations, of=tenant).operations

    def stop(self, operation_id: str) -> Operation:
        """Do no more of it; what is done stays so."""
        return self._http.post(place(OPERATIONS, operation_id, OperationNotFound) + "/stop", Operation)


class GatewayBatches:
    """Groups of jobs, as `swapjobs.client.batches.Batches`."""

    def __init__(self, http: GatewayHttp) -> None:
        self._http = http

    def open(self, batch_id: str | None = None, *, tenant: str = "default", callback_url: str | None = None) -> Batch:
        """Make a batch and return it, as `Batches.open`."""
        batch_id = f"batch-{secrets.token_hex(8)}" if batch_id is None else batch_id
        params = {"callback_url": callback_url, "tenant": own(tenant)}
        return read(self._http.send("PUT", place(BATCHES, batch_id, BatchNotFound), params=params), Batch)

    def get(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Return the batch as it stands now."""
        return self._http.get(place(BATCHES, batch_id, BatchNotFound), Batch, tenant=own(tenant))

    def list(
        self, *, tenant: str = "default", cursor: str | None = None, limit: int = 50
    ) -> tuple[builtins.list[Batch], str | None]:
        """Return batches, newest first, and the cursor for more of them, if there may be."""
        page = self._http.get(BATCHES, _BatchPage, tenant=own(tenant), cursor=cursor, limit=limit)
        return page.batches, page.next_cursor

    def close(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Let the batch take no more jobs."""
        return self._operate(batch_id, tenant, "close")

    def pause(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Start none of its jobs until `resume`."""
        return self._operate(batch_id, tenant, "pause")

    def resume(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Let its jobs start again."""
        return self._operate(batch_id, tenant, "resume")

    def cancel(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Cancel all its jobs that are not final."""
        return self._operate(batch_id, tenant, "cancel")

    def retry(self, batch_id: str, *, tenant: str = "default", error_code: str | None = None) -> Batch:
        """Put its failed jobs back in the queue, all or those with one error code; asked once."""
        return self._operate(batch_id, tenant, "retry", error_code=error_code)

    def _operate(self, batch_id: str, tenant: str, action: str, **params: Any) -> Batch:
        path = f"{place(BATCHES, batch_id, BatchNotFound)}/{action}"
        return self._http.post(path, Batch, repeatable=action != "retry", tenant=own(tenant), **params)


class GatewayWebhooks:
    """Endpoints and deliveries, as `swapjobs.client.webhooks.Webhooks`. What makes something new is asked once."""

    def __init__(self, http: GatewayHttp) -> None:
        self._http = http

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Tell what only a client at Redis has."""
            raise no_attribute(self, name, "webhooks")

    def add(self, url: str, *, tenant: str = "default", events: Iterable[str] = ()) -> EndpointSecret:
        """Register a URL, and return its secret with it."""
        body = {"url": url, "events": list(events)}
        return self._http.post(ENDPOINTS, EndpointSecret, body, repeatable=False, tenant=own(tenant))

    def endpoints(self, *, tenant: str = "default") -> list[Endpoint]:
        """Return all endpoints, oldest first."""
        return self._http.get(ENDPOINTS, _Endpoints, tenant=own(tenant)).endpoints

    def endpoint(self, id: str, *, tenant: str = "default") -> Endpoint:  # noqa: A002 - the field's name
        """Return one endpoint."""
        return self._http.get(_endpoint(id), Endpoint, tenant=own(tenant))

    def update(
        self,
        id: str,  # noqa: A002 - the field's name
        *,
        tenant: str = "default",
        url: str | None = None,
        events: Iterable[str] | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Change an endpoint; what is not given stays as it is."""
        given = {"url": url, "events": list(events) if events is not None else None, "enabled": enabled}
        body = {name: value for name, value in given.items() if value is not None}
        return read(self._http.send("PATCH", _endpoint(id), params={"tenant": own(tenant)}, body=body), Endpoint)

    def rotate(self, id: str, *, tenant: str = "default", overlap_s: float = 86_400) -> EndpointSecret:  # noqa: A002 - as above
        """Give an endpoint a new secret; the old one signs too for `overlap_s` seconds."""
        body = {"overlap_s": overlap_s}
        return self._http.post(f"{_endpoint(id)}/rotate", EndpointSecret, body, repeatable=False, tenant=own(tenant))

    def secret(self, id: str, *, tenant: str = "default") -> EndpointSecret:  # noqa: A002 - as above
        """Return an endpoint with its secret."""
        return self._http.get(f"{_endpoint(id)}/secret", EndpointSecret, tenant=own(tenant))

    def remove(self, id: str, *, tenant: str = "default") -> None:  # noqa: A002 - as above
        """Take an endpoint away."""
        self._http.send("DELETE", _endpoint(id), params={"tenant": own(tenant)}, repeatable=False)

    def deliveries(
        self,
        *,
        tenant: str = "default",
        state: str | None = None,
        endpoint_id: str | None = None,
        event: str | None = None,
        subject: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage:
        """Return deliveries, newest first."""
        filters = {"state": state, "endpoint_id": endpoint_id, "event": event, "subject": subject}
        times = {"after": text_of(after), "before": text_of(before)}
        return self._http.get(
            DELIVERIES, DeliveryPage, tenant=own(tenant), cursor=cursor, limit=limit, **times, **filters
        )

    def delivery(self, id: str, *, tenant: str = "default") -> Delivery:  # noqa: A002 - as above
        """Return one delivery."""
        return self._http.get(place(DELIVERIES, id, DeliveryNotFound), Delivery, tenant=own(tenant))

    def replay(self, id: str, *, tenant: str = "default") -> Delivery:  # noqa: A002 - as above
        """Begin the tries of a delivery anew."""
        path = f"{place(DELIVERIES, id, DeliveryNotFound)}/replay"
        return self._http.post(path, Delivery, repeatable=False, tenant=own(tenant))

    def replay_since(
        self, when: datetime, *, tenant: str = "default", state: str = "undelivered", endpoint_id: str | None = None
    ) -> Iterator[str]:
        """Begin anew the deliveries since `when` that are `state`, some with each request; yield their ids."""
        body = {"since": text_of(when), "state": state, "endpoint_id": endpoint_id}
        while True:
            page = self._http.post("/v1/webhooks/replay-since", _Replayed, body, repeatable=False, tenant=own(tenant))
            yield from page.ids
            if page.next_cursor is None:
                return
            body["cursor"] = page.next_cursor

    def test(self, endpoint_id: str, *, tenant: str = "default") -> Delivery:
        """Send a signed event `test` to an endpoint."""
        return self._http.post(f"{_endpoint(endpoint_id)}/test", Delivery, repeatable=False, tenant=own(tenant))


def _endpoint(id_: str) -> str:
    return place(ENDPOINTS, id_, EndpointNotFound)

"""A tenant's webhooks: the endpoints that are told of its events, and the log of all deliveries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from swapjobs.client.endpoints import Endpoints
from swapjobs.contract.errors import DeliveryNotFound, EndpointNotFound, InvalidRequest, NotRetryable, QueueFull
from swapjobs.contract.filters import MAX_PAGE
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from swapjobs.contract.page import DeliveryPage
    from swapjobs.contract.webhook import Delivery

_NOT_REPLAYABLE: Final = {
    "superseded": "the job was retried since, or its record has expired",
    "disabled": "its endpoint is disabled or was removed",
}


class Webhooks(Endpoints):
    """The webhooks of one Redis, tenant by tenant; `SwapClient.webhooks`.

    Raises (every method):
        QueueUnavailable: Redis cannot be reached.
    """

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
        """Return the tenant's deliveries for which everything given holds, newest first.

        Raises:
            InvalidRequest: a cursor that was not given, or a limit that is not 1 to 500.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: must be 1 to {MAX_PAGE}", field="limit")
        asked = {"state": state, "endpoint_id": endpoint_id, "event": event, "subject": subject}
        given = {name: value for name, value in asked.items() if value is not None}

        def fits(delivery: Delivery) -> bool:
            return all(getattr(delivery, name) == value for name, value in given.items())

        with queue_errors():
            return self._store.deliveries.page(tenant, fits, after=after, before=before, cursor=cursor, limit=limit)

    def delivery(self, id: str, *, tenant: str = "default") -> Delivery:  # noqa: A002 - the field's name
        """Return one delivery; a job's own has the job's id.

        Raises:
            DeliveryNotFound: the tenant has no delivery with this id, or its record has expired.
        """
        with queue_errors():
            delivery = self._store.deliveries.get(id, tenant)
        if delivery is None:
            raise DeliveryNotFound(f"tenant {tenant!r} has no delivery {id!a}")
        return delivery

    def replay(self, id: str, *, tenant: str = "default") -> Delivery:  # noqa: A002 - the field's name
        """Begin the tries of a delivery anew, whatever became of it, with the same webhook id; return it.

        Raises:
            DeliveryNotFound: the tenant has no delivery with this id, or its record has expired.
            NotRetryable: its job was retried since, or its endpoint is disabled.
            QueueFull: Redis is nearly at its memory limit.
        """
        with queue_errors():
            answer = self._store.deliveries.replay(id, tenant)
        if answer == "gone":
            raise DeliveryNotFound(f"tenant {tenant!r} has no delivery {id!a}")
        if answer == "full":
            raise QueueFull
        if answer != "ok":
            raise NotRetryable(f"delivery {id} cannot be replayed: {_NOT_REPLAYABLE[answer]}")
        with queue_errors():
            self._store.audit.note("delivery.replay", tenant=tenant, target=id)
        return self.delivery(id, tenant=tenant)

    def replay_since(
        self, when: datetime, *, tenant: str = "default", state: str = "undelivered", endpoint_id: str | None = None
    ) -> Iterator[str]:
        """Replay the deliveries that began since `when` and are `state`, lazily; yield the id of each.

        Those that cannot be replayed, since their job was retried or their endpoint is disabled, are left out.

        Raises:
            QueueFull: Redis is nearly at its memory limit; what was yielded before is replayed.
        """
        cursor = None
        while True:
            ids, cursor = self.replay_some(when, tenant=tenant, state=state, endpoint_id=endpoint_id, cursor=cursor)
            yield from ids
            if cursor is None:
                return

    def replay_some(
        self,
        when: datetime,
        *,
        tenant: str = "default",
        state: str = "undelivered",
        endpoint_id: str | None = None,
        cursor: str | None = None,
    ) -> tuple[list[str], str | None]:
        """Go through about a hundred of those that `replay_since` means; return what was replayed, and the next cursor.

        Raises:
            InvalidRequest: a cursor that was not given.
            QueueFull: Redis is nearly at its memory limit.
        """
        ids = []
        with queue_errors():
            deliveries, after = self._store.deliveries.since(tenant, when, cursor)
            for item in deliveries:
                if item.state != state or endpoint_id not in {None, item.endpoint_id}:
                    continue
                answer = self._store.deliveries.replay(item.id, tenant)
                if answer == "full":
                    raise QueueFull
                if answer == "ok":
                    ids.append(item.id)
            if ids:
                self._store.audit.note("delivery.replay", tenant=tenant, target=endpoint_id, number=len(ids))
        return ids, after

    def test(self, endpoint_id: str, *, tenant: str = "default") -> Delivery:
        """Send a signed event `test` to an endpoint, whatever it is told of otherwise; return the delivery.

        Raises:
            EndpointNotFound: the tenant has no endpoint with this id.
        """
        text = json.dumps({"text": "This is a test: your endpoint is told of events like this one."})
        with queue_errors():
            id_ = self._store.endpoints.send_test(endpoint_id, tenant, text)
        if not id_:
            raise EndpointNotFound(f"tenant {tenant!r} has no webhook endpoint {endpoint_id!a}")
        return self.delivery(id_, tenant=tenant)

"""The same Redis as Celery's broker: what kombu must be told so that it finds it, and takes its bad moments well."""

from __future__ import annotations

import contextlib
from typing import Any, Final
from urllib.parse import quote

import kombu
from celery.app.amqp import AMQP
from kombu.transport import redis as transport

from swapjobs.settings.redis_url import sentinel_place
from swapjobs.store.keys import READY_OF_QUEUE
from swapjobs.store.redis_client import OutOfMemoryError, sentinel_options
from swapworker.celery_adapter.bulk_fetch import BulkFetch


def broker_url(redis_url: str) -> str:
    """Return kombu's URL: the same, or one for each sentinel, with semicolons between."""
    place = sentinel_place(redis_url)
    if place is None:
        return redis_url
    # Each names everything: after a lost connection kombu goes on with the next URL alone.
    user, password = (quote(part or "", safe="") for part in (place.username, place.password))
    account = f"{user}:{password}@" if password else ""
    hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in place.sentinels)
    return ";".join(f"sentinel://{account}{host}/{place.database}" for host in hosts)


def broker_options(redis_url: str) -> dict[str, Any]:
    """Return kombu's transport options beside the URL: the service to ask the sentinels for, and how to reach them."""
    place = sentinel_place(redis_url)
    return {"master_name": place.service, "sentinel_kwargs": sentinel_options(place)} if place else {}


class _TolerantChannel:
    """A channel that takes a lost and a full Redis calmly."""

    # Else kombu would, whenever the connection is lost, put the messages of running jobs into the ready queue again,
    # or where it can't, into a file in the temporary folder.
    do_restore = False

    def _q_for_pri(self, queue: str, pri: int) -> str:
        # Our own messages have lists of their own. In those with the queues' names products' tasks arrive.
        own = READY_OF_QUEUE.get((queue, self.priority(pri)))  # type: ignore[attr-defined]  # as below
        return own or str(super()._q_for_pri(queue, pri))  # type: ignore[misc]  # as below

    def _queue_bind(self, *binding: Any) -> None:
        # Else a worker that connects to a full Redis could not begin, and it stays full. Nothing of ours is routed.
        with contextlib.suppress(OutOfMemoryError):
            super()._queue_bind(*binding)  # type: ignore[misc]  # of the channel beside which this stands

    def maybe_refresh_binding_expiry(self) -> None:
        with contextlib.suppress(OutOfMemoryError):
            super().maybe_refresh_binding_expiry()  # type: ignore[misc]  # the same


class _Channel(_TolerantChannel, BulkFetch, transport.Channel):  # type: ignore[misc]  # kombu is untyped
    pass


class _SentinelChannel(_TolerantChannel, BulkFetch, transport.SentinelChannel):  # type: ignore[misc]  # kombu is untyped
    pass


class _Transport(transport.Transport):  # type: ignore[misc]  # kombu is untyped
    Channel = _Channel


class _SentinelTransport(transport.SentinelTransport):  # type: ignore[misc]  # kombu is untyped
    Channel = _SentinelChannel


_TRANSPORTS: Final = {transport.Transport: _Transport, transport.SentinelTransport: _SentinelTransport}


class _Connection(kombu.Connection):  # type: ignore[misc]  # kombu is untyped
    def get_transport_cls(self) -> Any:
        transport = super().get_transport_cls()
        return _TRANSPORTS.get(transport, transport)

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        # kombu's own would look for a lost broker at growing intervals of up to 30 s, and be back as much later.
        return super().ensure_connection(
            *args, **{"interval_start": 1, "interval_step": 1, "interval_max": 3, **options}
        )


class Broker(AMQP):  # type: ignore[misc]  # celery is untyped
    """Celery's own, with connections that suit us."""

    Connection = _Connection

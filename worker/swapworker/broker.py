"""The same Redis as Celery's broker: what kombu must be told so that it finds it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from swapjobs.connection import sentinel_options
from swapjobs.redis_url import sentinel_place


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

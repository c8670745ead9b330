"""The log of a tenant's deliveries: read a page at a time, a bounded part of it for each call."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.page import DeliveryPage
from swapjobs.contract.webhook import Delivery, DeliveryTry
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

_BLOCK: Final = 100
_MOST_READ: Final = 1000  # records for one page
_Place = tuple[int, str]  # when it began in ms, and its id


def read(client: redis.Redis, tenant: str, ids: Sequence[str]) -> list[Delivery | None]:
    """Return deliveries as they stand; None for one that is gone, that is not the tenant's, or that none asked for."""
    texts: Any = client.mget([record.key_of(id_) for id_ in ids]) if ids else []
    return [_view(record.unpack(id_, text), tenant) if text else None for id_, text in zip(ids, texts, strict=True)]


def page(
    client: redis.Redis,
    tenant: str,
    wanted: Callable[[Delivery], bool],
    *,
    after: datetime | None,
    before: datetime | None,
    cursor: str | None,
    limit: int,
) -> DeliveryPage:
    """Return the newest deliveries that are `wanted`, as far as a bounded look finds them."""
    result: list[Delivery] = []
    place, seen = _parsed(cursor), 0
    for block in _blocks(client, tenant, _ms(after, 0), _ms(before, None), place, newest_first=True):
        for item, delivery in zip(block, read(client, tenant, [id_ for _, id_ in block]), strict=True):
            place, seen = item, seen + 1
            if delivery and wanted(delivery):
                result.append(delivery)
            if len(result) == limit or seen == _MOST_READ:
                return DeliveryPage(deliveries=result, next_cursor=f"{place[0]}.{place[1]}")
    return DeliveryPage(deliveries=result)


def since(client: redis.Redis, tenant: str, when: datetime, cursor: str | None) -> tuple[list[Delivery], str | None]:
    """Return some of the deliveries that began between `when` and the first look, oldest first, and the next cursor."""
    last_text, _, rest = (cursor or "").partition("~")
    if cursor is None:
        newest: Any = client.zrange(keys.deliveries(tenant), -1, -1, withscores=True)
        last_text = str(int(newest[0][1])) if newest else "0"
    place = _parsed(rest) if cursor is not None else None
    last, _ = cast("_Place", _parsed(f"{last_text}.last"))
    block = next(_blocks(client, tenant, _ms(when, 0), last, place, newest_first=False), None)
    if block is None:
        return [], None
    result = read(client, tenant, [id_ for _, id_ in block])
    return [item for item in result if item], f"{last}~{block[-1][0]}.{block[-1][1]}"


def _blocks(
    client: redis.Redis, tenant: str, first: int | None, last: int | None, place: _Place | None, *, newest_first: bool
) -> Iterator[list[_Place]]:
    """Yield what lies in the log between two times, block after block, from after `place` on; others may change it."""
    size = _BLOCK
    while True:
        low, high = "-inf" if first is None else first, "+inf" if last is None else last
        if place:
            low, high = (low, place[0]) if newest_first else (place[0], high)
        log = keys.deliveries(tenant)
        answer: Any = (
            client.zrevrangebyscore(log, high, low, 0, size, withscores=True)
            if newest_first
            else client.zrangebyscore(log, low, high, 0, size, withscores=True)
        )
        members = [(int(score), str(member)) for member, score in answer]
        new = [item for item in members if place is None or ((item < place) if newest_first else (item > place))]
        if new:
            yield new
            place, size = new[-1], _BLOCK
        elif len(members) < size:
            return
        else:
            size *= 2  # so many began in the same millisecond


def _view(delivery: record.Record, tenant: str) -> Delivery | None:
    fields, own = delivery.fields, record.is_own_delivery(delivery.id)
    if fields["tenant"] != tenant or fields.get("delivery_state", "none") == "none":
        return None
    tries = [line for line in delivery.history[1:] if line.get("kind") in {"webhook", "retry"}]
    rounds = [number for number, line in enumerate(tries) if line["kind"] == "retry"]
    return Delivery(
        id=delivery.id,
        tenant=tenant,
        event=cast("Any", f"swap.{fields['state']}" if own else fields["event"]),
        subject=delivery.id if own else fields["subject"],
        endpoint_id=fields.get("endpoint"),
        url=delivery.request["callback_url" if own else "url"],
        state=cast("Any", fields["delivery_state"]),
        created_at=cast("datetime", delivery.time("finished_at" if own else "created_at")),
        next_attempt_at=delivery.time("delivery_next_at"),
        tries=[_try(line) for line in tries[rounds[-1] + 1 if rounds else 0 :]],
    )


def _try(line: Any) -> DeliveryTry:
    return DeliveryTry(
        at=datetime.fromtimestamp(line["at"] / 1000, UTC),
        number=line["number"],
        status=line.get("status"),
        duration_ms=line["duration_ms"],
        reason=line.get("reason", ""),
    )


def _parsed(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    score, _, id_ = cursor.partition(".")
    if not (re.fullmatch(r"[0-9]{1,15}", score) and id_):
        raise InvalidRequest("cursor: must be a next_cursor that was given before", field="cursor")
    return int(score), id_


def _ms(time: datetime | None, default: int | None) -> int | None:
    return default if time is None else int(time.timestamp() * 1000)

"""The webhook deliveries: claimed, settled and replayed, one atomic operation each; and their log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swapjobs.store import keys, record
from swapjobs.store.claims import DeliveryClaim
from swapjobs.store.grouped_calls import GroupedCalls
from swapjobs.store.webhooks import delivery_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import redis

    from swapjobs.contract.page import DeliveryPage
    from swapjobs.contract.webhook import Delivery
    from swapjobs.store.functions import Functions


class DeliveryStore:
    """The deliveries in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions
        self._grouped = GroupedCalls(functions)

    def claim(self, id_: str, lease_s: float) -> DeliveryClaim | None:
        """Claim the webhook delivery that a message names; None where there is nothing to do."""
        (answer, *rest), _ = self._grouped.call("deliveries/claim", id_, int(lease_s * 1000))
        if answer != "go":
            return None
        fence, now_ms, text, job_text, endpoint = rest
        delivery = record.unpack(id_, text)
        job = delivery if record.is_own_delivery(id_) else None
        if job_text:
            job = record.unpack(delivery.fields["job"], job_text)
        return DeliveryClaim(delivery, job, record.pairs(endpoint), fence, now_ms)

    def settle(
        self,
        claim: DeliveryClaim,
        state: Literal["delivered", "undelivered", "pending"],
        *,
        status: int | None,
        entry: str,
        delay_s: float = 0,
        host: Literal["up", "down", ""] = "up",
        took_ms: int = 0,
        gone: str = "",
    ) -> str:
        """Write down one try; `pending` tries again after `delay_s`. The answers are those of deliveries/settle.lua.

        Args:
            claim: The claim under which it was made.
            state: How the delivery stands now.
            status: HTTP status, if there was an answer.
            entry: The line of history.
            delay_s: Seconds to the next try.
            host: Whether the try found the receiver's host at work; empty: it told nothing of it.
            took_ms: How long the try took.
            gone: Why the endpoint wants no more, if it said so.
        """
        args: tuple[Any, ...] = (claim.id, claim.fence, state, int(delay_s * 1000), status or "", entry)
        answer, _ = self._grouped.call("deliveries/settle", *args, host, took_ms, gone)
        return str(answer)

    def hand_back(self, claim: DeliveryClaim) -> None:
        """Make a claimed delivery due at once: its worker ends."""
        self._redis.zadd(keys.schedule(), {f"delivery:{claim.id}": 0}, xx=True)

    def replay(self, id_: str, tenant: str) -> str:
        """Begin the tries of a delivery anew; see deliveries/replay.lua for the answers."""
        return str(self._functions.call("deliveries/replay", id_, tenant))

    def get(self, id_: str, tenant: str) -> Delivery | None:
        """Return a delivery as it stands; None for one that is gone, or that is not the tenant's."""
        (delivery,) = delivery_log.read(self._redis, tenant, [id_])
        return delivery

    def page(
        self,
        tenant: str,
        fits: Callable[[Delivery], bool],
        *,
        after: datetime | None,
        before: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> DeliveryPage:
        """Return the newest deliveries that fit, as far as a bounded look finds them."""
        return delivery_log.page(self._redis, tenant, fits, after=after, before=before, cursor=cursor, limit=limit)

    def since(self, tenant: str, when: datetime, cursor: str | None) -> tuple[list[Delivery], str | None]:
        """Return some of the deliveries that began since `when`, oldest first, and the next cursor."""
        return delivery_log.since(self._redis, tenant, when, cursor)

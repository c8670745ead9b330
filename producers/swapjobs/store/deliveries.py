"""DeliveryStore: the atomic operations on webhook deliveries and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swapjobs.store import keys, record
from swapjobs.store.claims import DeliveryClaim

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

    from swapjobs.store.functions import Scripts


class DeliveryStore:
    """The deliveries in one Redis; a part of `JobStore`."""

    def __init__(self, client: redis.Redis, scripts: Scripts) -> None:
        self.redis = client
        self._scripts = scripts

    def claim_delivery(self, id_: str, lease_s: float) -> DeliveryClaim | None:
        """Claim the webhook delivery that a hint names; None where there is nothing to do."""
        verdict, *rest = self._scripts.run("claim_delivery", id_, int(lease_s * 1000))
        if verdict != "go":
            return None
        fence, now_ms, history, fields, job_history, job_fields, endpoint = rest
        delivery = record.unpack(id_, record.pairs(fields), history)
        job = delivery if record.is_own_delivery(id_) else None
        if job_fields:
            job = record.unpack(delivery.fields["job"], record.pairs(job_fields), job_history)
        return DeliveryClaim(delivery, job, record.pairs(endpoint), fence, now_ms)

    def settle_delivery(
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
        """Write down one try; `pending` tries again after `delay_s`. The answers are those of lua/settle_delivery.lua.

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
        return str(self._scripts.run("settle_delivery", *args, host, took_ms, gone))

    def hand_back_delivery(self, claim: DeliveryClaim) -> None:
        """Make a claimed delivery due at once: its worker ends."""
        self.redis.zadd(keys.wake(), {f"delivery:{claim.id}": 0}, xx=True)

    def replay_delivery(self, id_: str, tenant: str) -> str:
        """Begin the tries of a delivery anew; see lua/replay_delivery.lua for the answers."""
        return str(self._scripts.run("replay_delivery", id_, tenant))

    def set_endpoint(self, id_: str, tenant: str, fields: Mapping[str, str | int], *, most: int = 0) -> str:
        """Make (`most`: how many a tenant may have) or change an endpoint; without fields it is removed.

        Returns:
            `ok`, `full`, or `gone` when the tenant has no endpoint with this id.
        """
        flat = [item for pair in fields.items() for item in pair]
        return str(self._scripts.run("set_endpoint", id_, tenant, most, *flat))

    def test_endpoint(self, id_: str, tenant: str, data: str) -> str:
        """Send an event `test` to one endpoint; return the delivery's id, empty where there is no such endpoint."""
        return str(self._scripts.run("test_endpoint", id_, tenant, data))

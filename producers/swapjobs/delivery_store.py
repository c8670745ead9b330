"""DeliveryStore: the atomic operations on webhook deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swapjobs import keys, record
from swapjobs.claims import DeliveryClaim

if TYPE_CHECKING:
    import redis

    from swapjobs.scripts import Scripts


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
        fence, now_ms, history, *fields = rest
        return DeliveryClaim(record.unpack(id_, record.pairs(fields), history), fence, now_ms)

    def settle_delivery(
        self,
        claim: DeliveryClaim,
        state: Literal["delivered", "undelivered", "pending"],
        *,
        status: int | None,
        entry: str,
        delay_s: float = 0,
    ) -> str:
        """Write down one try; `pending` tries again after `delay_s`."""
        args: tuple[Any, ...] = (claim.job.id, claim.fence, state, int(delay_s * 1000), status or "", entry)
        return str(self._scripts.run("settle_delivery", *args))

    def hand_back_delivery(self, claim: DeliveryClaim) -> None:
        """Make a claimed delivery due at once: its worker ends."""
        self.redis.zadd(keys.wake(), {f"delivery:{claim.job.id}": 0}, xx=True)

"""One try to deliver a webhook: claim, build the event, send, write down what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from swapjobs import record
from swapjobs.models import WebhookEvent
from swapworker.in_hand import written
from swapworker.webhooks.schedule import next_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.claims import DeliveryClaim
    from swapjobs.record import Record
    from swapjobs.settings import WorkerSettings
    from swapjobs.store import JobStore
    from swapworker.webhooks.sender import WebhookSender

# Beyond the request itself: writing down what it came to.
_MARGIN_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Tried:
    """How a delivery stands after one try."""

    state: Literal["delivered", "undelivered", "pending"]
    reason: str
    again_s: float | None


class Deliveries:
    """Runs deliveries; one for each worker process, shared by its slots."""

    def __init__(
        self,
        store: JobStore,
        sender: WebhookSender,
        settings: WorkerSettings,
        *,
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._sender = sender
        self._settings = settings
        self._random = random
        self._held: dict[tuple[str, int], DeliveryClaim] = {}

    def run(self, job_id: str) -> Tried | None:
        """Make one try for the job that a hint names; None where there was nothing to do."""
        claim = self._store.claim_delivery(job_id, self._settings.webhook_timeout_s + _MARGIN_S)
        if claim is None:
            return None
        key = (claim.job.id, claim.fence)
        self._held[key] = claim
        try:
            return self._deliver(claim)
        finally:
            del self._held[key]

    def hand_back(self) -> int:
        """Let the deliveries under way be tried again at once, for the process ends; return how many."""
        held = list(self._held.values())
        for claim in held:
            self._store.hand_back_delivery(claim)
        return len(held)

    def _deliver(self, claim: DeliveryClaim) -> Tried:
        job = claim.job
        delivery = self._sender.send(
            job.request["callback_url"],
            message_id(job),
            event_of(job).model_dump_json(),
            at=datetime.now(UTC),
        )
        tries = job.number("hook_tries") + 1
        again_s = None if delivery.ok or delivery.gone else next_delay(tries, self._random, delivery.retry_after_s)
        state: Literal["delivered", "undelivered", "pending"] = (
            "delivered" if delivery.ok else "undelivered" if again_s is None else "pending"
        )
        tried = record.entry(
            "webhook",
            at=claim.now_ms,
            number=tries,
            status=delivery.status,
            duration_ms=delivery.duration_ms,
            reason=delivery.reason,
        )
        written(
            lambda: self._store.settle_delivery(claim, state, status=delivery.status, entry=tried, delay_s=again_s or 0)
        )
        return Tried(state, delivery.reason, again_s)


def message_id(job: Record) -> str:
    """Return the `webhook-id`: the same on every try, another for every end of the job and use of its business id.

    The round alone would not do: it begins anew when the business id is used again, the generation goes on.
    """
    return f"msg_{job.id}_{job.number('generation', 1)}_{job.number('round', 1)}"


def event_of(job: Record) -> WebhookEvent:
    """Return the event that tells of the job's end."""
    view = job.to_job()
    # How its own delivery stands is no news to the receiver, and the body must be the same on every try.
    return WebhookEvent(
        type=cast("Any", f"swap.{view.state}"),
        timestamp=view.finished_at or view.created_at,
        data=view.model_copy(update={"webhook": None}),
    )

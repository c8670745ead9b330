"""The one line that a try to deliver leaves in the worker's log; what goes without saying is left out.

That is the tenant `default`, the first try, that it was delivered, status 200, the delivery's id where it is the job's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from swapjobs import logs, tracing

if TYPE_CHECKING:
    from swapjobs.store.claims import DeliveryClaim
    from swapworker.delivery.sender import Delivery

_logger: Final = logging.getLogger("swapjobs.delivery")
_OK: Final = 200


def write(claim: DeliveryClaim, state: str, tried: Delivery, *, number: int, again_s: float | None) -> None:
    """Log the try of this number: `state` is how the delivery stands after it, `again_s` when it is tried again."""
    job, fields = claim.job, claim.delivery.fields
    tenant = fields["tenant"]
    logs.event(
        _logger,
        "delivery",
        job=job.id if job else None,
        delivery=claim.id if job is None or claim.id != job.id else None,
        tells=None if job else fields.get("event"),
        endpoint=fields.get("endpoint"),
        tenant=tenant if tenant != "default" else None,
        attempt=number if number > 1 else None,
        outcome=state if state != "delivered" else None,
        status=tried.status if tried.status != _OK else None,
        reason=tried.reason or None,
        ms=tried.duration_ms,
        again_ms=int(again_s * 1000) if again_s is not None else None,
        trace_id=tracing.trace_id_of(tracing.current()),
    )

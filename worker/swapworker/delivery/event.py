"""What a delivery tells, as its body goes over the wire: the same on every try."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from swapjobs.contract.vendor_api import vendor_envelope
from swapjobs.contract.webhook import WebhookEvent
from swapjobs.contract.webhook_signing import Signer, endpoint_signers
from swapjobs.store import record
from swapjobs.store.batches import batch_of

if TYPE_CHECKING:
    from pydantic import SecretStr

    from swapjobs.store.claims import DeliveryClaim
    from swapworker.delivery.sender import Style


def message_id(claim: DeliveryClaim) -> str:
    """Return the `webhook-id`: the same on every try, another for every end of the job and use of its business id.

    The round alone would not do: it begins anew when the business id is used again, the generation goes on. All who are
    told of one event get it under one id.
    """
    if record.is_own_delivery(claim.id):
        job = claim.delivery
        return f"msg_{job.id}_{job.number('generation', 1)}_{job.number('round', 1)}"
    return f"msg_{claim.id.partition('@')[0]}"


def body_of(claim: DeliveryClaim, style: Style) -> str:
    """Return the body: the event, or for a callback the vendor's way what the vendor would send."""
    if style == "vendor" and claim.job is not None:
        return json.dumps(vendor_envelope(claim.job.to_job()), separators=(",", ":"))
    return event_of(claim).model_dump_json()


def event_of(claim: DeliveryClaim) -> WebhookEvent:
    """Return the event that this delivery tells of."""
    if claim.job is not None:
        # How its own delivery stands is no news to the receiver, and the body must be the same on every try.
        view = claim.job.to_job().model_copy(update={"webhook": None})
        return WebhookEvent(
            type=cast("Any", f"swap.{view.state}"), timestamp=view.finished_at or view.created_at, data=view
        )
    created_at = datetime.fromtimestamp(claim.delivery.number("created_at") / 1000, UTC)
    kind = cast("Any", claim.delivery.fields["event"])
    data = json.loads(claim.delivery.request["data"])
    if kind == "batch.completed":
        fields = claim.delivery.fields
        data = batch_of(fields["tenant"], fields["subject"], data).model_dump(mode="json")
    return WebhookEvent(type=kind, timestamp=created_at, data=data)


def signers_of(claim: DeliveryClaim, master: SecretStr) -> tuple[Signer, ...]:
    """Return what signs for the claim's endpoint: during a rotation the version before too."""
    version = int(claim.endpoint["version"])
    signers = _signers(master, claim.delivery.fields["endpoint"], version)
    if claim.now_ms < int(claim.endpoint.get("rotating_until", 0)):
        signers += _signers(master, claim.delivery.fields["endpoint"], version - 1)
    return signers


@lru_cache(maxsize=1000)
def _signers(master: SecretStr, endpoint_id: str, version: int) -> tuple[Signer, ...]:
    return endpoint_signers(master, endpoint_id, version)

"""What the vendor is asked, made of the job's record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swapjobs.contract.vendor_ids import vendor_id
from swapjobs.contract.vendor_tools import DEFAULT_TOOL, TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim


def body_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vendor's body for a request as recorded, without the business id; it was checked at its submit."""
    fields = TOOLS[request.get("tool", DEFAULT_TOOL)]
    own = {name: request[name] for name in fields.model_fields if name in request}
    return fields.model_validate(own).body(request["source_url"], request["target_url"])


def vendor_id_of(claim: Claim, settings: WorkerSettings) -> str:
    """Return what the vendor gets as business id."""
    generation = claim.job.number("generation", 1) if settings.vendor_id_suffix else 1
    job, tenant = claim.job, claim.job.fields["tenant"]
    return vendor_id(job.id, tenant, job.business_id, generation, prefix=settings.vendor_id_prefix)

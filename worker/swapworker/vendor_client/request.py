"""What the vendor is asked, made of the job's record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.vendor_tools import DEFAULT_TOOL, TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim


_LONGEST_ID: Final = 64


def body_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vendor's body for a request as recorded, without the business id; it was checked at its submit."""
    fields = TOOLS[request.get("tool", DEFAULT_TOOL)]
    own = {name: request[name] for name in fields.model_fields if name in request}
    return fields.model_validate(own).body(request["source_url"], request["target_url"])


def vendor_id_of(claim: Claim, settings: WorkerSettings) -> str:
    """Return what the vendor gets as business id: `[prefix][tenant~]id[~generation]`, different for different jobs.

    One that is longer than the vendor's own or holds a `~` is the job's id behind a `~`, with which no other begins.
    Plain for the default tenant's first use of an id. A later use names the tenant too, else `x~2` could be both the
    second use of x and the id 2 of tenant x.
    """
    tenant, business_id = claim.job.fields["tenant"], claim.job.business_id
    if len(business_id) > _LONGEST_ID or "~" in business_id:
        business_id = f"~{claim.job.id}"
    generation = claim.job.number("generation", 1) if settings.vendor_id_suffix else 1
    parts = [business_id]
    if tenant != "default" or generation > 1:
        parts.insert(0, tenant)
    if generation > 1:
        parts.append(str(generation))
    return settings.vendor_id_prefix + "~".join(parts)

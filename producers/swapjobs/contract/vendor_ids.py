"""The id that the vendor gets for a job, and back: a function of the job's own ids, so that no index is needed.

It is `[prefix][tenant~]id[~generation]`. An id that is longer than the vendor's own or holds a `~` is the job's id
behind a `~`, with which no other begins. Plain for the default tenant's first use of an id. A later use names the
tenant too, else `x~2` could be both the second use of x and the id 2 of tenant x.
"""

from __future__ import annotations

from typing import Final

from swapjobs.contract.job import is_business_id, is_job_id, job_id

_LONGEST: Final = 64
_DEFAULT_TENANT: Final = "default"


def vendor_id(job: str, tenant: str, business_id: str, generation: int = 1, *, prefix: str = "") -> str:
    """Return what the vendor gets as business id; different for different jobs.

    Args:
        job: The job's id.
        tenant: Whose job it is.
        business_id: The caller's own id.
        generation: 2 for the first new id after a failure that was seen, and so on.
        prefix: SWAPJOBS_VENDOR_ID_PREFIX.
    """
    if len(business_id) > _LONGEST or "~" in business_id:
        business_id = f"~{job}"
    parts = [business_id]
    if tenant != _DEFAULT_TENANT or generation > 1:
        parts.insert(0, tenant)
    if generation > 1:
        parts.append(str(generation))
    return prefix + "~".join(parts)


def job_of(text: str, *, prefix: str = "") -> str | None:
    """Return the id of the job for which the vendor got this id; None where it can be none of ours."""
    if not text.startswith(prefix):
        return None
    before, mark, derived = f"~{text.removeprefix(prefix)}".partition("~~")
    if mark:
        own = derived.partition("~")[0]
        return own if is_job_id(own) else None
    tenant, business_id, *_ = before[1:].split("~") if "~" in before[1:] else (_DEFAULT_TENANT, before[1:])
    return job_id(tenant, business_id) if is_business_id(business_id) else None

"""The id that the vendor gets for a job, and back: a function of the job's own ids, so that no index is needed.

No page of the vendor's says what an id may hold; all examples have letters, digits and `-`, and 18 characters at most.
So what is sent by default has no other: the caller's own id, for the default tenant's first use of one that is such;
else the job's id, which is a digest of tenant and caller's id, with `-2` for its second use, and so on. An id that only
looks like that is sent as its own job's. With the suffix `~{n}`, for a vendor that takes `~`, people can read it:
`[tenant~]id[~generation]`; one that is longer than the vendor's own or holds a `~` is the job's id behind a `~`.

Different jobs, and different uses of one id, have different ids in either way, so that none can adopt another's result.
"""

from __future__ import annotations

import re
from typing import Final

from swapjobs.contract.job import DEFAULT_TENANT, is_business_id, is_job_id, job_id

DEFAULT_SUFFIX: Final = "-{n}"
READABLE: Final = "~{n}"
_LONGEST: Final = 64
_JOB_ID: Final = 24
_AS_IN_THE_EXAMPLES: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


def vendor_id(
    job: str, tenant: str, business_id: str, generation: int = 1, *, prefix: str = "", suffix: str = DEFAULT_SUFFIX
) -> str:
    """Return what the vendor gets as the caller's id; different for different jobs.

    Args:
        job: The job's id.
        tenant: Whose job it is.
        business_id: The caller's own id.
        generation: 2 for the first new id after a failure that was seen, and so on.
        prefix: SWAPJOBS_VENDOR_ID_PREFIX.
        suffix: SWAPJOBS_VENDOR_ID_SUFFIX; empty: every generation has the same id.
    """
    number = generation if suffix else 1
    if suffix == READABLE:
        return prefix + _readable(job, tenant, business_id, number)
    is_plain = tenant == DEFAULT_TENANT and number == 1 and _AS_IN_THE_EXAMPLES.fullmatch(business_id)
    if is_plain and not _derived_from(business_id, suffix):
        return prefix + business_id
    return prefix + job + (suffix.format(n=number) if number > 1 else "")


def job_of(text: str, *, prefix: str = "", suffix: str = DEFAULT_SUFFIX) -> str | None:
    """Return the id of the job for which the vendor got this id; None where it can be none of ours."""
    if not text.startswith(prefix):
        return None
    text = text.removeprefix(prefix)
    if suffix == READABLE:
        return _job_of_readable(text)
    derived = _derived_from(text, suffix)
    if derived:
        return derived
    return job_id(DEFAULT_TENANT, text) if _AS_IN_THE_EXAMPLES.fullmatch(text) else None


def _derived_from(text: str, suffix: str) -> str | None:
    """Return the job's id where a text is one, with or without the suffix of a generation."""
    head, rest = text[:_JOB_ID], text[_JOB_ID:]
    before, _, after = suffix.partition("{n}")
    number = rest.removeprefix(before).removesuffix(after) if suffix else ""
    is_suffix = not rest or (number.isdecimal() and number.isascii() and rest == suffix.format(n=number))
    return head if is_suffix and is_job_id(head) else None


def _readable(job: str, tenant: str, business_id: str, generation: int) -> str:
    """Return `[tenant~]id[~generation]`.

    A later use names the tenant too, else `x~2` could be both the second use of x and the id 2 of tenant x.
    """
    if len(business_id) > _LONGEST or "~" in business_id:
        business_id = f"~{job}"
    parts = [business_id]
    if tenant != DEFAULT_TENANT or generation > 1:
        parts.insert(0, tenant)
    if generation > 1:
        parts.append(str(generation))
    return "~".join(parts)


def _job_of_readable(text: str) -> str | None:
    before, mark, derived = f"~{text}".partition("~~")
    if mark:
        own = derived.partition("~")[0]
        return own if is_job_id(own) else None
    tenant, business_id, *_ = before[1:].split("~") if "~" in before[1:] else (DEFAULT_TENANT, before[1:])
    return job_id(tenant, business_id) if is_business_id(business_id) else None

"""What the vendor is asked, made of the job's record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.fetched_urls import in_ascii
from swapjobs.contract.job import explain
from swapjobs.contract.vendor_ids import vendor_id
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.vendor_tools.tool_input import with_urls
from swapworker.vendor_client.outcome import Failed, NotStarted, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.contract.vendor_tools.tool import Tool, Way
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim


@dataclass(frozen=True, slots=True)
class VendorCall:
    """One call: where to, with what, and how its reply is read. `way` is that of a query."""

    tool: Tool
    body: dict[str, Any]
    way: Way | None = None

    @property
    def path(self) -> str:
        """The path below the vendor's prefix."""
        return self.way.path if self.way else self.tool.path


def call_of(claim: Claim, settings: WorkerSettings, callback_url: Callable[[str], str]) -> VendorCall | Outcome:
    """Return the call that a claim is for; or, where none can be made, what that comes to.

    `callback_url` gives where the vendor is to post a job's end; empty: it is not asked to.
    """
    name = claim.job.tool
    tool = TOOLS.get(name)
    if tool is None:
        what = f"this worker does not know the tool {name}: give it the SWAPJOBS_TOOLS_FILE of those who submit"
        return NotStarted(ErrorCode.INTERNAL, what)
    id_ = vendor_id_of(claim, settings)
    if claim.call == "query":
        return _query(tool, claim, id_)
    given = claim.job.input
    try:
        # a swap was checked when it was submitted, and its tool is as it was: most jobs are swaps
        checked = tool.input.model_construct(**given) if tool.is_swap else tool.input.model_validate(given)
        body = with_urls(checked.body(), in_ascii)
    except ValidationError as error:
        return Failed(ErrorCode.INVALID_REQUEST, f"{explain(error)} (tool {name})")
    url = callback_url(claim.job.id) if tool.takes_callback else ""
    return VendorCall(tool, {**tool.with_id(body, id_), **({"callbackUrl": url} if url else {})})


def _query(tool: Tool, claim: Claim, id_: str) -> VendorCall | Outcome:
    """Return the question for a task; each time that it is not known, in the next way."""
    if tool.query is None:
        what = "whether the vendor has taken it is not known, and how to ask for its tasks is not public"
        return Failed(
            ErrorCode.VENDOR_TIMEOUT, f"{what}; look there before you retry: that sends it again", retryable=True
        )
    ways = tool.query.ways
    way = ways[claim.job.number("unknown_answers") % len(ways)]
    if way.by == "vendor":
        of_generation, _, own = claim.job.fields.get("vendor_task", "").partition(":")
        id_ = own if own and of_generation == _generation(claim) else id_
    return VendorCall(tool, {"businessTaskId": id_}, way)


def vendor_task(claim: Claim, task_id: str) -> str:
    """Return how the vendor's own id is kept: it is that of this generation of the job, and of no other."""
    return f"{_generation(claim)}:{task_id}"


def _generation(claim: Claim) -> str:
    return claim.job.fields.get("generation", "1")


def vendor_id_of(claim: Claim, settings: WorkerSettings) -> str:
    """Return what the vendor gets as the caller's id."""
    job, tenant, number = claim.job, claim.job.fields["tenant"], claim.job.number("generation", 1)
    form = {"prefix": settings.vendor_id_prefix, "suffix": settings.vendor_id_suffix}
    return vendor_id(job.id, tenant, job.business_id, number, **form)

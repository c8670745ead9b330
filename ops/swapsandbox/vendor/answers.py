"""The vendor's wire format as the sandbox answers it; the shapes are those of `swapjobs.contract.vendor_api`.

They are not shared with the worker's client, so that a mistake in the one is seen by the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from swapjobs.contract import vendor_api
from swapjobs.contract.vendor_api import FusionBody, RoopV2Body, Status, SwapBody, task_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapsandbox.vendor.records import Outcome, Task

_DEFAULT_FIDELITY: Final = 0.5


def fidelity_of(body: SwapBody) -> float:
    """Return the balance of quality (0) and fidelity (1); a tool without this setting leaves the skin as it is."""
    if not isinstance(body, RoopV2Body):
        return 1.0
    return _DEFAULT_FIDELITY if body.fidelity_weight is None else float(body.fidelity_weight)


def face_index_of(body: SwapBody) -> int | None:
    """Return which face of the target is replaced, 1-based from the left; None leaves it to the swap.

    What the vendor's `faceIdx` would mean with two sources is not documented: nothing here.
    """
    return body.face_idx if isinstance(body, FusionBody) and len(body.source_urls) == 1 else None


def envelope(
    code: str,
    msg: str,
    data: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer every call gets: `code` is a string, "200" is the success of the call, not of the swap."""
    return JSONResponse(vendor_api.envelope(code, msg, data), status, headers)


def task_answer(task: Task, outcome: Outcome | None, *, with_business_id: bool = False) -> JSONResponse:
    """Return a task's state: final with its outcome, else pending.

    Only a success has `outputImageUrl`. `businessTaskId` is added where the vendor's sibling endpoints have it.
    """
    status = Status.PENDING if outcome is None else outcome.status
    data = task_data(
        task.vendor_id,
        task.tool,
        status,
        output_url=outcome.output_url if outcome else None,
        business_id=task.business_id if with_business_id else None,
    )
    return envelope("200", outcome.message if outcome else "processing", data)

"""The vendor's wire format as the sandbox answers it; the shapes are those of `swapjobs.contract.vendor_api`.

They are not shared with the worker's client, so that a mistake in the one is seen by the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from swapjobs.contract import vendor_api
from swapjobs.contract.vendor_api import Status, task_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.contract.vendor_tools.tool import Tool
    from swapsandbox.vendor.records import Outcome, Task


def envelope(
    code: str,
    msg: str,
    data: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer every call gets: `code` is a string, "200" is the success of the call, not of the task."""
    return JSONResponse(vendor_api.envelope(code, msg, data), status, headers)


def task_body(tool: Tool, task: Task, outcome: Outcome | None, *, is_query: bool, path: str = "") -> dict[str, Any]:
    """Return a task's state in its envelope: final with its outcome, else pending. Only a success has a result."""
    status = Status.PENDING if outcome is None else outcome.status
    msg = outcome.message if outcome else "processing"
    names = {"caller_id": task.business_id, "message": msg, "path": path}
    outputs = outcome.outputs if outcome else ()
    data = task_data(tool, task.vendor_id, status, outputs, is_query=is_query, **names)
    return vendor_api.envelope("200", msg if is_query or tool.answers_at_once else "success", data)

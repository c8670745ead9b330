"""Jobs as rows of CSV, for a spreadsheet: `swapjobs list --csv`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from swapjobs.contract.output import as_text

if TYPE_CHECKING:
    from swapjobs.contract.job import Job

HEADER: Final = (
    *("id", "business_task_id", "state", "tool", "tenant", "batch_id", "output_url", "outputs"),
    *("error_code", "error_message", "attempts", "created_at", "finished_at"),
)
# What a spreadsheet would take for a formula, and run (OWASP, CSV injection); a number may have a sign.
_FORMULA: Final = re.compile(r"[=@\t\r]|[+-](?![\d.])")


def row_of(job: Job) -> list[str]:
    """Return the cells of a job; `outputs` has a line for each."""
    error = (job.error.code.value, job.error.message) if job.error else ("", "")
    times = [at.isoformat(timespec="milliseconds") if at else "" for at in (job.created_at, job.finished_at)]
    about = (job.id, job.business_task_id, job.state.value, job.tool, job.tenant, job.batch_id or "")
    outputs = "\n".join(map(as_text, job.outputs))
    return [_plain(cell) for cell in (*about, job.output_url or "", outputs, *error, str(job.attempts), *times)]


def _plain(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell

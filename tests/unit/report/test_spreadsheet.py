"""Jobs as CSV: all outputs are there, and no cell is a formula."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from swapjobs import ErrorCode, ImageOutput, Job, JobState, JsonOutput, TextOutput
from swapjobs.contract.job import JobError
from swapjobs.report.spreadsheet import HEADER, row_of


def cells(**fields: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "id": "a-job",
        "state": JobState.SUCCEEDED,
        "tool": "any/tool",
        "tenant": "default",
        "priority": "bulk",
        "business_task_id": "order-1",
        "created_at": datetime(2026, 11, 1, 9, 30, tzinfo=UTC),
    }
    return dict(zip(HEADER, row_of(Job.model_validate({**given, **fields})), strict=True))


def test_every_output_is_a_line_of_its_cell() -> None:
    outputs = (ImageOutput(url="https://a/1"), TextOutput(text="a cat"), JsonOutput(value={"ä": [1]}))
    row = cells(outputs=outputs, output_url="https://a/1")
    assert (row["output_url"], row["outputs"]) == ("https://a/1", 'https://a/1\na cat\n{"ä": [1]}')
    assert (row["created_at"], row["finished_at"]) == ("2026-11-01T09:30:00.000+00:00", "")


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-x", "\t=1", "\r=1"])
def test_a_spreadsheet_takes_nothing_for_a_formula(text: str) -> None:
    error = JobError(code=ErrorCode.SWAP_FAILED, message=text)
    row = cells(outputs=(TextOutput(text=text),), error=error)
    assert (row["outputs"], row["error_message"]) == (f"'{text}", f"'{text}")


@pytest.mark.parametrize("text", ["-5", "+4915", "order-1", "a=b"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert cells(business_task_id=text)["business_task_id"] == text

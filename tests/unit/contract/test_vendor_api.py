"""The vendor's API as a server speaks it: what a body asks of us, and how a job stands in the vendor's words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs import Job, JobState, SwapRequest
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import JobError
from swapjobs.contract.lifecycle import FINAL
from swapjobs.contract.output import ImageOutput
from swapjobs.contract.vendor_api import (
    ORIGINAL_ID,
    BadBody,
    business_id_of,
    caller_id_of,
    read_call,
    read_query,
    request_of,
    vendor_envelope,
)
from swapjobs.contract.vendor_tools.table import TOOLS, swap_tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.contract.request import Request

A, B, C, HOOK = (f"https://pictures.example/{name}.jpg" for name in ("a", "b", "c", "hook"))
BODY = {"sourceUrl": A, "targetUrl": B, "businessTaskId": "order-1"}


def asked(tool: str, body: dict[str, Any]) -> Request:
    row = TOOLS[tool]
    return request_of(row, read_call(row, json.dumps(body).encode()), "shop")


def job(state: JobState = JobState.QUEUED, **fields: Any) -> Job:
    return Job.model_validate(
        {
            "id": "the-job",
            "state": state,
            "tool": "roop",
            "tenant": "shop",
            "priority": "interactive",
            "business_task_id": "order-1",
            "source_url": A,
            "target_url": B,
            "created_at": datetime(2026, 11, 1, tzinfo=UTC),
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("tool", "body", "fields"),
    [
        ("roop", {}, {}),
        ("roop", {"unknown": 1, "faceIdx": "nonsense"}, {}),
        ("roop", {"callbackUrl": HOOK}, {"callback_url": HOOK, "callback_style": "vendor"}),
        ("v2/roop", {}, {}),
        ("v2/roop", {"fidelityWeight": "0.7"}, {"fidelity_weight": 0.7}),
        ("v2/roop", {"fidelityWeight": None}, {}),
        ("face/fusion", {"sourceUrl": [A]}, {}),
        ("face/fusion", {"sourceUrl": [A, C], "faceIdx": 2}, {"second_source_url": C, "face_idx": 2}),
        ("face/fusion", {"sourceUrl": [A], "callbackUrl": HOOK}, {"callback_url": HOOK, "callback_style": "vendor"}),
    ],
)
def test_a_body_asks_for_what_our_own_request_would(tool: str, body: dict[str, Any], fields: dict[str, Any]) -> None:
    expected = {"tool": tool, "tenant": "shop", "source_url": A, "target_url": B, "business_task_id": "order-1"}
    assert asked(tool, {**BODY, **body}) == SwapRequest.parse({**expected, **fields})


@pytest.mark.parametrize("tool", [tool.name for tool in swap_tools()])
def test_what_the_worker_sends_asks_for_the_same_again(tool: str) -> None:
    """Else two swapjobs could not be stacked."""
    fields: dict[str, dict[str, Any]] = {
        "roop": {},
        "v2/roop": {"fidelity_weight": 1 / 3},
        "face/fusion": {"second_source_url": C, "face_idx": 3},
    }
    outer = SwapRequest.parse({"tool": tool, "source_url": A, "target_url": B, **fields[tool]})
    inner = asked(tool, {**outer.tool_input.body(), "businessTaskId": "x"})
    assert inner.tool_input.body() == outer.tool_input.body()


@pytest.mark.parametrize(
    ("tool", "body", "complaint"),
    [
        ("roop", {"sourceUrl": "ftp://pictures.example/a"}, "sourceUrl: must begin with http:// or https://"),
        ("roop", {"targetUrl": "https://me:pw@pictures.example/b"}, "targetUrl: must not carry credentials"),
        ("roop", {"callbackUrl": "nowhere"}, "callbackUrl: must begin with http"),
        ("face/fusion", {"sourceUrl": [A, "https:///"]}, "sourceUrl.1: has no host name"),
        ("face/fusion", {"sourceUrl": [A, 5]}, "sourceUrl.1: must be a text"),
        ("face/fusion", {"sourceUrl": [A], "faceIdx": 2**31}, "faceIdx: must be at most"),
        ("v2/roop", {"fidelityWeight": "much"}, "fidelityWeight: must be a number"),
        ("roop", {"businessTaskId": ""}, "businessTaskId: must have at least 1 character"),
        ("roop", {"businessTaskId": "x" * 257}, "businessTaskId: must have at most 256 characters"),
    ],
)
def test_a_wrong_body_is_refused_by_the_vendors_names(tool: str, body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadBody) as refused:
        asked(tool, {**BODY, **body})
    assert complaint in str(refused.value)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b"\xff\xfe{}",
        b'{"businessTaskId": "\xff"}',
        b'{"businessTaskId": "\\ud800"}',
        b"[" * 100_000,
        b'{"x": ' * 100_000,
        b'{"businessTaskId": ' + b"9" * 100_000 + b"}",
        b'{"businessTaskId": {"a": 1}}',
    ],
)
def test_hostile_bytes_are_refused_in_one_short_line(raw: bytes) -> None:
    reads: list[Callable[[bytes], object]] = [read_query]
    reads += [partial(read_call, tool) for tool in TOOLS.values() if tool.is_task]
    for read in reads:
        with pytest.raises(BadBody) as refused:
            read(raw)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 300


def test_a_body_that_is_too_large_to_be_kept_is_refused() -> None:
    sd = {"prompt": "x" * 140_000, "batch_size": 1, "alwayson_scripts": {"id_task": "order-1"}}
    with pytest.raises(BadBody, match="input: is larger than"):
        asked("sd/v2/text2image", sd)


IDS = st.text(min_size=1, max_size=256)
OURS = st.from_regex(r"\A[ -~]{1,255}\Z")


@given(IDS | OURS)
def test_every_id_becomes_a_valid_one_and_comes_back(caller_id: str) -> None:
    request = asked("roop", {**BODY, "businessTaskId": caller_id})
    recorded = job(business_task_id=request.business_task_id, metadata=request.metadata)
    assert caller_id_of(recorded) == caller_id
    assert vendor_envelope(recorded)["data"]["businessTaskId"] == caller_id


@given(IDS, IDS)
def test_different_ids_stay_different(one: str, other: str) -> None:
    chain = [one, other, business_id_of(one), business_id_of(other)]
    assert len({business_id_of(item) for item in chain}) == len(set(chain))


def test_an_id_of_ours_is_left_as_it_is_and_what_looks_like_a_hash_is_not() -> None:
    assert business_id_of("order-4711") == "order-4711"
    hashed = business_id_of("人脸-4711")
    assert SwapRequest.parse({"source_url": A, "target_url": B, "business_task_id": hashed})
    assert business_id_of(hashed) != hashed


def test_metadata_of_another_meaning_are_no_business_id() -> None:
    for value in ("order-2", "tenant~x", 5, None):
        assert caller_id_of(job(metadata={ORIGINAL_ID: value})) == "order-1"


def test_a_success_is_the_documented_reply_to_the_letter() -> None:
    done = job(JobState.SUCCEEDED, outputs=(ImageOutput(url=C),))
    data = {"taskId": "the-job", "toolTask": "roop", "status": 1, "outputImageUrl": C}
    assert vendor_envelope(done, is_query=False) == {"code": "200", "msg": "success", "data": data}
    assert vendor_envelope(done)["data"] == {**data, "businessTaskId": "order-1"}


@pytest.mark.parametrize("state", JobState)
def test_every_state_is_finished_or_not_and_only_a_success_has_a_picture(state: JobState) -> None:
    """A picture that arrived after the cancellation is not handed out as a success."""
    failed = JobError(code=ErrorCode.NO_FACE, message="no face in the source picture")
    error = failed if state in {JobState.FAILED, JobState.EXPIRED} else None
    output = vendor_envelope(job(state, outputs=(ImageOutput(url=C),), error=error))
    status = {JobState.SUCCEEDED: 1}.get(state, 2 if state in FINAL else 0)
    assert (output["code"], output["data"]["status"]) == ("200", status)
    assert ("outputImageUrl" in output["data"]) == (status == 1)
    msg = {1: "success", 0: "processing", 2: error.message if error else "the job was cancelled"}[status]
    assert output["msg"] == msg

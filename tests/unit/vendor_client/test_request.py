"""The body that the vendor gets is made of the record as it was submitted, without checking it all over again."""

from __future__ import annotations

from typing import Any

import pytest

from support import records
from swapjobs import SwapRequest
from swapjobs.settings import WorkerSettings
from swapjobs.store import record
from swapjobs.store.claims import Claim
from swapworker.vendor_client.request import VendorCall, call_of

A, B, C = (f"https://pictures.example/{name}.jpg" for name in "abc")


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, {"sourceUrl": A, "targetUrl": B}),
        ({"metadata": {"face_idx": 2}, "callback_url": C, "batch_id": "b"}, {"sourceUrl": A, "targetUrl": B}),
        ({"tool": "v2/roop"}, {"sourceUrl": A, "targetUrl": B}),
        (
            {"tool": "v2/roop", "fidelity_weight": 0.5},
            {"sourceUrl": A, "targetUrl": B, "fidelityWeight": "0.5"},
        ),
        ({"tool": "face/fusion"}, {"sourceUrl": [A], "targetUrl": B}),
        (
            {"tool": "face/fusion", "second_source_url": C, "face_idx": 2},
            {"sourceUrl": [A, C], "targetUrl": B, "faceIdx": 2},
        ),
    ],
)
def test_the_recorded_request_becomes_the_vendors_body(fields: dict[str, Any], body: dict[str, Any]) -> None:
    request = SwapRequest.parse({"source_url": A, "target_url": B, **fields})
    job = record.unpack("x", records.packed({"business_id": "order-1", "tenant": "default"}, record.pack(request)))
    claim = Claim(job=job, fence=1, call="swap", wait_s=0, now_ms=0)
    call = call_of(claim, WorkerSettings(), lambda _: "")
    assert isinstance(call, VendorCall)
    assert (
        call.body == {**body, "businessTaskId": "order-1"} == {**request.tool_input.body(), "businessTaskId": "order-1"}
    )

"""The body that the vendor gets is made of the record as it was submitted, without checking it all over again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swapjobs import SwapRequest
from swapjobs.store import record
from swapworker.vendor_client.request import body_of

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
    recorded = json.loads(record.pack(request))
    assert body_of(recorded) == body == request.tool_fields.body(A, B)

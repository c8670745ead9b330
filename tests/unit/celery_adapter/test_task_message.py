"""Reading products' messages: whatever is in them, one that can't be used is told and holds up nobody."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs import InvalidRequest
from swapjobs.celery import swap
from swapworker.celery_adapter.task_message import NotOurs, read

URLS = {"source_url": "https://a.example/s.jpg", "target_url": "https://a.example/t.jpg"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def message(body: Any, headers: dict[str, Any] | None = None, **properties: Any) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    return json.dumps(
        {
            "body": base64.b64encode(text.encode()).decode(),
            "headers": {"task": "swapjobs.swap", "id": "t1", **(headers or {})},
            "properties": {"body_encoding": "base64", **properties},
        }
    )


@given(
    JSON, JSON, JSON, st.dictionaries(st.sampled_from(["eta", "expires", "group", "stamps", "id"]), JSON, max_size=3)
)
def test_any_message_is_read_or_refused(args: Any, kwargs: Any, embedded: Any, headers: dict[str, Any]) -> None:
    for body in ([args, kwargs, embedded], args, [[args], {"source_url": kwargs, **URLS}, {"callbacks": embedded}]):
        with contextlib.suppress(NotOurs, InvalidRequest):
            read(message(body, headers)).task()


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(NotOurs):
        read(text)


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(NotOurs):
        read("[" * 100_000)
    with pytest.raises(NotOurs):
        read(message("[" * 100_000))


def test_times_of_the_message_hold_beside_those_of_the_request() -> None:
    given = {**URLS, "expires_at": "2030-01-01T00:00:00Z"}
    headers = {"expires": "2029-01-01T00:00:00", "eta": "2028-06-01T12:00:00+02:00"}
    seen = read(message([[], given, {}], headers))
    assert str(seen.task().request.expires_at) == "2029-01-01 00:00:00+00:00"
    assert datetime.fromtimestamp(seen.eta_ms / 1000, UTC) == datetime(2028, 6, 1, 10, tzinfo=UTC)


def test_a_job_of_any_tool_is_asked_for_by_the_same_task() -> None:
    asked = {"tool": "interrogate", "input": {"image": URLS["source_url"]}}
    assert read(message([[], asked, {}])).task().request.tool_input.stored() == {"image": URLS["source_url"]}
    assert swap.s(**asked).kwargs == asked
    with pytest.raises(InvalidRequest, match=r"input\.image: must begin with http"):
        swap.s(tool="interrogate", input={"image": "ftp://x"})


def test_nothing_is_kept_of_a_task_whose_sender_wants_nothing() -> None:
    assert read(message([[], URLS, {}], {"ignore_result": True})).task().continuation == ""
    continuation = json.loads(
        read(message([[], URLS, {"chain": None, "callbacks": [{"task": "x"}]}])).task().continuation
    )
    assert continuation == {"id": "t1", "callbacks": [{"task": "x"}]}


def test_the_trace_in_which_it_was_sent_goes_with_it() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for sent, expected in ((traceparent, traceparent), ("nonsense", ""), (None, "")):
        assert read(message([[], URLS, {}], {"traceparent": sent})).task().origin.traceparent == expected

"""What names a result, and how many results are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from swapsandbox.operations.made import Made
from swapsandbox.vendor.engine import Engine, EngineUnavailable, ResultStore, SwapRefused, Work

INPUTS = Work("swap", (b"source", b"target"), {"face_index": None})


def test_the_same_inputs_have_the_same_name() -> None:
    assert INPUTS.digest() == Work("swap", (b"source", b"target"), {"face_index": None}).digest()


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, pictures=(b"target", b"source")),
        replace(INPUTS, pictures=(b"source", b"target", b"")),
        replace(INPUTS, pictures=(b"sourcetarget",)),
        replace(INPUTS, options={"face_index": 1}),
        replace(INPUTS, options={"face_index": None, "fidelity": 0.5}),
        replace(INPUTS, operation="detect"),
    ],
)
def test_other_inputs_have_another_name(other: Work) -> None:
    assert INPUTS.digest() != other.digest()


def test_the_store_forgets_what_was_not_used_for_longest() -> None:
    store = ResultStore(10)
    store.put("a", Made([b"aaaa"]))
    store.put("b", Made([b"bbbb"]))
    assert store.get("a") == Made([b"aaaa"])
    store.put("c", Made([b"cccc"]))
    assert (store.get("a"), store.get("b"), store.get("c")) == (Made([b"aaaa"]), None, Made([b"cccc"]))


def test_putting_a_picture_again_takes_no_more_room() -> None:
    store = ResultStore(10)
    store.put("b", Made([b"bbbb"]))
    for _ in range(5):
        store.put("a", Made([b"aaaa"]))
    assert store.get("b") == Made([b"bbbb"])


def test_a_picture_beyond_the_bound_is_kept_until_the_next() -> None:
    """Its URL was just given out; to forget it at once would be a lie."""
    store = ResultStore(3)
    store.put("a", Made([b"aaaa"]))
    assert store.get("a") == Made([b"aaaa"])
    store.put("b", Made([b"b"]))
    assert store.get("a") is None


def test_a_refusal_reads_as_name_and_message() -> None:
    refusal = SwapRefused("TARGET_NO_FACE", "no face found in the target picture")
    assert str(refusal) == "TARGET_NO_FACE: no face found in the target picture"
    assert refusal.name == "TARGET_NO_FACE"


def test_an_engine_that_was_not_started_says_so() -> None:
    with pytest.raises(EngineUnavailable, match="context manager"):
        asyncio.run(Engine().do(INPUTS))

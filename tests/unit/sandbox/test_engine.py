"""What names a result, and how many results are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from swapsandbox.vendor.engine import Engine, EngineUnavailable, ResultStore, SwapInputs, SwapRefused

INPUTS = SwapInputs((b"source",), b"target")


def test_the_same_inputs_have_the_same_name() -> None:
    assert INPUTS.digest() == SwapInputs((b"source",), b"target").digest()


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, target=b"source", sources=(b"target",)),
        replace(INPUTS, sources=(b"source", b"target"), target=b""),
        replace(INPUTS, sources=(b"sourcetarget",), target=b""),
        replace(INPUTS, face_index=1),
        replace(INPUTS, face_index=2),
        replace(INPUTS, fidelity=0.5),
    ],
)
def test_other_inputs_have_another_name(other: SwapInputs) -> None:
    assert INPUTS.digest() != other.digest()


def test_the_store_forgets_what_was_not_used_for_longest() -> None:
    store = ResultStore(10)
    store.put("a", b"aaaa")
    store.put("b", b"bbbb")
    assert store.get("a") == b"aaaa"
    store.put("c", b"cccc")
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"aaaa", None, b"cccc")


def test_putting_a_picture_again_takes_no_more_room() -> None:
    store = ResultStore(10)
    store.put("b", b"bbbb")
    for _ in range(5):
        store.put("a", b"aaaa")
    assert store.get("b") == b"bbbb"


def test_a_picture_beyond_the_bound_is_kept_until_the_next() -> None:
    """Its URL was just given out; to forget it at once would be a lie."""
    store = ResultStore(3)
    store.put("a", b"aaaa")
    assert store.get("a") == b"aaaa"
    store.put("b", b"b")
    assert store.get("a") is None


def test_a_refusal_reads_as_name_and_message() -> None:
    refusal = SwapRefused("TARGET_NO_FACE", "no face found in the target picture")
    assert str(refusal) == "TARGET_NO_FACE: no face found in the target picture"
    assert refusal.name == "TARGET_NO_FACE"


def test_an_engine_that_was_not_started_says_so() -> None:
    with pytest.raises(EngineUnavailable, match="context manager"):
        asyncio.run(Engine().swap(INPUTS))

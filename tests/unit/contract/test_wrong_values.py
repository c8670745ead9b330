"""What is wrong with a value is told in our words, everywhere: the library that checks it does not speak to users."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, Field, JsonValue, TypeAdapter, ValidationError

from support.paths import ROOT
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import explain
from swapjobs.contract.wrong_values import did_you_mean, form, must_be_one_of

FOLDERS = ("producers/swapjobs", "worker/swapworker", "ops/swapsandbox")


class Toy(FrozenModel):
    """A model with one field."""

    colour: Literal["red", "blue"] = "red"


CASES: list[tuple[Any, Any, str]] = [
    (int, "x", "must be a whole number"),
    (int, 1.5, "must be a whole number"),
    (int, "9" * 5000, "must be a smaller whole number"),
    (float, "x", "must be a number"),
    (Annotated[float, Field(allow_inf_nan=False)], "nan", "must be a number, and neither infinite nor NaN"),
    (bool, "perhaps", "must be true or false"),
    (str, 7, "must be a text"),
    (list[str], 7, "must be a list"),
    (tuple[str, ...], 7, "must be a list"),
    (dict[str, str], 7, "must be an object"),
    (Toy, 7, "must be an object"),
    (Toy, {"colour": "bleu"}, "colour: must be one of red, blue; did you mean blue?"),
    (Toy, {"color": "red"}, "color: is no field here; did you mean colour?"),
    (Toy, {"x": 1}, "x: is no field here; known are colour"),
    (
        Toy,
        {"color": "red", "colour": "bleu"},
        "colour: must be one of red, blue; did you mean blue? color: is no field here; did you mean colour?",
    ),
    (dict[str, list[Literal["red"]]], {"x": ["r", "s"]}, "x: must be red"),
    (JsonValue, {1}, "is not JSON"),
    (Literal["*"], "x", "must be *"),
    (Literal[0, 1], 2, "must be one of 0, 1"),
    (datetime, "soon", "must be a time like 2026-01-31T12:00:00Z"),
    (AwareDatetime, datetime(2026, 1, 31), "must have a time zone, like 2026-01-31T12:00:00Z"),  # noqa: DTZ001 - the point
    (tuple[Annotated[int, Field(ge=1)] | Literal["hang"], ...], [0], "0: must be at least 1; 0: must be hang"),
    (Annotated[float, Field(gt=0.0)], 0, "must be more than 0"),
    (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
    (Annotated[int, Field(le=9)], 10, "must be at most 9"),
    (Annotated[str, Field(min_length=1)], "", "must have at least 1 character"),
    (Annotated[str, Field(max_length=2)], "abc", "must have at most 2 characters"),
    (Annotated[tuple[int, ...], Field(min_length=1)], (), "must have at least 1 entry"),
    (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 entry"),
    (Annotated[str, Field(pattern=form("^x+$", "must be some x"))], "y", "must be some x"),
]


@pytest.mark.parametrize(("kind", "value", "words"), CASES)
def test_what_is_wrong_is_told_in_our_words(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)
    assert explain(refused.value, known=Toy.model_fields) == words


def test_a_name_that_is_like_one_is_asked_for_whatever_its_case() -> None:
    assert did_you_mean("ROOOP", ["roop", "sd"]) == "; did you mean roop?"
    assert did_you_mean("instantid", ["roop", "instantID"]) == "; did you mean instantID?"
    assert did_you_mean(None, ["roop"]) == did_you_mean(7, ["roop"]) == did_you_mean("", ["roop"]) == ""
    assert must_be_one_of("faild", ["done", "failed"]) == "must be one of done, failed; did you mean failed?"


def test_nobody_else_reads_the_words_of_the_library_and_every_pattern_has_words() -> None:
    """The progress file's is not for people: what does not fit is begun anew."""
    said = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in {"wrong_values.py", "progress_file.py"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"""\["msg"\]\.|pattern=r?["']""", line)
    ]
    assert said == []

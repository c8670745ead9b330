"""All words of the console are in one place, in each language, and all of them are used."""

from __future__ import annotations

import re
from typing import Final

import pytest

from support.paths import ROOT
from swapjobs.gateway.console.texts import LANGUAGES, catalogue, chosen, texts

CONSOLE: Final = ROOT / "producers/swapjobs/gateway/console"
SOURCES: Final = [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")]
# t('a.b'), t.known('a.b'), t('a.' ~ name): the last one stands for all texts of its table that begin so.
USED: Final = re.compile(r"""\bt(?:\.known)?\(\s*['"]([a-z_.]+)['"]\s*([~+])?""")


def used() -> tuple[set[str], set[str]]:
    """Return the keys that are asked for as they are, and those with which one begins."""
    hits = [hit for path in SOURCES for hit in USED.findall(path.read_text(encoding="utf-8"))]
    return {key for key, goes_on in hits if not goes_on}, {key for key, goes_on in hits if goes_on}


def test_every_text_that_a_page_asks_for_is_there() -> None:
    whole, begun = used()
    known = catalogue("en")
    assert {key for key in whole if key not in known} == set()
    assert {key for key in begun if not any(text.startswith(key) for text in known)} == set()


def test_no_text_is_left_over() -> None:
    whole, begun = used()
    in_python = "".join(path.read_text(encoding="utf-8") for path in CONSOLE.rglob("*.py"))
    left = {
        key
        for key in catalogue("en")
        if key.removesuffix("_one") not in whole
        and not key.startswith(tuple(begun))
        and f'"{key}"' not in in_python
        and not key.startswith("error.")
    }
    assert left == set()


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_each_language_has_the_same_texts_with_the_same_values(language: str) -> None:
    ours, theirs = catalogue("en"), catalogue(language)
    assert ours.keys() == theirs.keys()
    values = re.compile(r"\{\w*\}")
    assert {key for key in ours if {*values.findall(ours[key])} != {*values.findall(theirs[key])}} == set()


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de-AT, zh-TW;q=0.7", "zh"),
        (None, "fr", "en"),
        ("zh", "en", "zh"),
        ("xx", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(cookie: str | None, accepted: str, language: str) -> None:
    assert chosen(cookie, accepted) == language


def test_numbers_are_grouped_and_one_is_one() -> None:
    t = texts("en")
    assert t("operation.fit_retry", count=12_345) == "12,345 jobs will be queued again."
    assert t("operation.fit_retry", count=1) == "One job will be queued again."
    with pytest.raises(KeyError):
        t("no.such")

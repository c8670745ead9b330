"""All words of the console, by language: texts/en.toml, and the same keys in the others.

TOML, and not gettext's catalogues: these have to be compiled, and there is no build.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
_FIRST: Final = "en"


class Texts:
    """The words of one language; what it does not have is English."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = {**catalogue(_FIRST), **catalogue(language)}

    def __call__(self, key: str, /, **values: Any) -> str:
        """Return a text with its values put in; with `count` 1 that of `<key>_one`, where there is one.

        Raises:
            KeyError: there is no such text.
        """
        if values.get("count") == 1 and f"{key}_one" in self._texts:
            key = f"{key}_one"
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        return str(self._texts[key]).format(**shown)

    def known(self, key: str) -> str | None:
        """Return a text without values, None where there is none."""
        return self._texts.get(key)


@cache
def texts(language: str) -> Texts:
    """Return the words of a language."""
    return Texts(language)


def chosen(wanted: str | None, accepted: str) -> str:
    """Return the language: the one that was chosen before, else the first of `Accept-Language` that is known here."""
    if wanted and wanted in LANGUAGES:
        return wanted
    names = (part.partition(";")[0].strip().partition("-")[0].lower() for part in accepted.split(","))
    return next((name for name in names if name in LANGUAGES), _FIRST)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return what stands in a language's file: key, with dots, -> text."""
    text = (resources.files(__package__) / "texts" / f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield before + name, value
        else:
            yield from _flat(value, f"{before}{name}.")

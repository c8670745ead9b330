"""What is wrong with a value, in our words: those of the library that checks it stay inside.

Nothing here quotes a value, which may be a secret; a name that was meant is one of ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ALIKE: Final = 0.6  # difflib's own measure of what a slip may change
_CHOICE: Final = frozenset({"literal_error", "enum"})
_LONGEST_NAME: Final = 100  # of what somebody else named
_TIME: Final = "must be a time like 2026-01-31T12:00:00Z"
_TEXTS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is no field here",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number, and neither infinite nor NaN",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "is not JSON",
    "json_type": "is not JSON",
    "invalid-json-value": "is not JSON",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": "must have a time zone, like 2026-01-31T12:00:00Z",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
}
# What pydantic puts behind a field's name for each kind of a union.
_OF_A_UNION: Final = re.compile(r"(constrained|function|json-or|lax-or)-.*|(literal|list|dict|tuple)\[.*|int|float|str")
_forms: dict[str, str] = {}


def form(pattern: str, words: str) -> str:
    """Return a pattern for a field; a text that does not match it is told these words."""
    _forms[pattern] = words
    return pattern


def what_is_wrong(problem: Mapping[str, Any], known: Collection[str] = ()) -> str:
    """Return in words what is wrong with a value.

    Args:
        problem: One of the errors of a pydantic.ValidationError, with its context.
        known: The names that a field may have, where the problem is one that there is not.
    """
    kind, context = str(problem["type"]), problem.get("ctx", {})
    if kind in _CHOICE:
        return must_be_one_of(problem.get("input"), _choices(context["expected"]))
    if kind == "string_pattern_mismatch":
        return _forms.get(context["pattern"], "is not written as it must be")
    if kind == "extra_forbidden" and known:
        return _TEXTS[kind] + (did_you_mean(problem["loc"][-1], known) or f"; known are {', '.join(known)}")
    if kind in _TEXTS:
        text = _TEXTS[kind].format(**{name: _plain(value) for name, value in context.items()})
        return re.sub(r"(least|most) 1 (character|entr)(s|ies)$", _singular, text)
    return str(problem["msg"]).removeprefix("Value error, ")


def unknown_names(given: Iterable[Any], known: Collection[str]) -> list[str]:
    """Return what is said of each name that is not known, where the model itself would have taken it."""
    strangers = [str(name)[:_LONGEST_NAME] for name in given if name not in known]
    return [f"{name}: {what_is_wrong({'type': 'extra_forbidden', 'loc': (name,)}, known)}" for name in strangers[:5]]


def place_of(problem: Mapping[str, Any]) -> str:
    """Return where a value stands, `field.part`, as its user writes it: one of a list of choices without its number."""
    place = problem["loc"][:4]
    if problem["type"] in _CHOICE and len(place) > 1 and isinstance(place[-1], int):
        place = place[:-1]
    return ".".join(part for part in map(str, place) if not _OF_A_UNION.fullmatch(part))


def joined(problems: Iterable[str]) -> str:
    """Return problems as one text; what ends in a question needs no semicolon."""
    return "; ".join(dict.fromkeys(problems)).replace("?; ", "? ")


def must_be_one_of(value: object, known: Iterable[str]) -> str:
    """Return what is said of a value that is none of those known: all of them, and which one may be meant."""
    choices = list(known)
    return f"must be {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}{did_you_mean(value, choices)}"


def did_you_mean(name: object, known: Iterable[str], *, likeness: float = _ALIKE) -> str:
    """Return a question to put behind what is said of a name that is not known; nothing where none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - asked for only when something is wrong

    by_lower = {item.lower(): item for item in known}
    alike = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=likeness)
    return f"; did you mean {by_lower[alike[0]]}?" if alike else ""


def _choices(expected: str) -> list[str]:
    """Return the choices in pydantic's list of them, `'a', 'b' or 3`."""
    return [text.strip("'") for text in re.split(r", | or ", expected)]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _singular(match: re.Match[str]) -> str:
    return f"{match[1]} 1 {'entry' if match[2] == 'entr' else 'character'}"

"""What the columns of a CSV header, or the keys of a JSON object, mean: our fields, and a product's own names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.request import SwapRequest
from swapjobs.contract.vendor_tools.table import swap_tools
from swapjobs.contract.wrong_values import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIELDS: Final = frozenset({*SwapRequest.model_fields, "input"}).union(
    *(tool.input.model_fields for tool in swap_tools())
)
SEPARATORS: Final = (",", ";", "\t", "|")  # of which spreadsheets write the first three, and databases the last
_INSIDE: Final = ("metadata", "input")  # whose parts have columns of their own: metadata.sku, input.image
_REQUIRED: Final = ("source_url", "target_url")
_NO_HEADER: Final = f"the first line must name the columns ({','.join(_REQUIRED)}); it looks like data"
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # with which Excel says it


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a product's own: `fields` says which of our fields each one is, or `metadata.NAME`."""

    fields: Mapping[str, str] = field(default_factory=dict)
    ignore_unknown: bool = False

    @classmethod
    def parse(cls, pairs: Iterable[str], *, ignore_unknown: bool = False) -> Columns:
        """Return what `OWN=FIELD` pairs say.

        Raises:
            InvalidRequest: one of them says nothing that can be meant.
        """
        fields: dict[str, str] = {}
        for pair in pairs:
            own, equals, name = (part.strip() for part in pair.rpartition("="))
            if not (own and equals and name):
                raise InvalidRequest(f"map {pair!a}: write it as OWN=FIELD, like url=source_url", field="map")
            if name not in FIELDS and not is_inside(name):
                raise InvalidRequest(
                    f"map {pair!a}: {name} is no field; {_known()}{did_you_mean(name, FIELDS)}", field="map"
                )
            if fields.setdefault(own, name) != name:
                raise InvalidRequest(f"map: {own} is given twice", field="map")
        return cls(fields, ignore_unknown)

    def name_of(self, own: str) -> str:
        """Return the field that a column is; an empty text for one without a name; the name itself where unknown."""
        own = own.strip()
        if own in self.fields:
            return self.fields[own]
        plain = "_".join(own.lower().replace("-", " ").split())
        return plain if plain in FIELDS else own

    def is_known(self, name: str) -> bool:
        """Whether `name_of` gave a field."""
        return not name or name in FIELDS or is_inside(name)

    def of_object(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a JSON object under our names; what is unknown stays, to be refused, unless it is to be ignored."""
        if not self.fields and not self.ignore_unknown:
            return row
        named = ((self.fields.get(own, own), value) for own, value in row.items())
        return gathered((name, value) for name, value in named if not self.ignore_unknown or self.is_known(name))


def gathered(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return cells by name, those of `metadata.NAME` and those of `input.NAME` together."""
    row: dict[str, Any] = {}
    inside: dict[str, dict[str, Any]] = {}
    for name, value in cells:
        if is_inside(name):
            whole, _, part = name.partition(".")
            inside.setdefault(whole, {})[part] = value
        else:
            row[name] = value
    for whole, parts in inside.items():
        given = row.get(whole, {})
        row[whole] = {**given, **parts} if isinstance(given, dict) else given
    return row


def is_inside(name: str) -> bool:
    """Whether this names a part of `metadata` or `input`."""
    whole, dot, part = name.partition(".")
    return whole in _INSIDE and bool(dot and part)


def separator_of(text: str) -> str | None:
    """Return the separator that a first line like `sep=;` names."""
    match = _SEPARATOR_LINE.fullmatch(text)
    return match[1] if match else None


def is_blank(text: str) -> bool:
    """Whether a line holds nothing but separators: rows that a spreadsheet kept though they are empty."""
    return not text.strip(' \t,;|"\r\n')


def read_header(text: str, separator: str | None, columns: Columns, name: str) -> tuple[str, list[str | None]]:
    """Return the separator, and the field of each column: None to ignore it, an empty text where it has no name.

    Raises:
        InvalidRequest: it is no header, or not all columns are known; the message says what would be right.
    """
    read = {sign: _cells(text, sign) for sign in ([separator] if separator else SEPARATORS)}
    headers = {sign: [columns.name_of(own) for own in cells] for sign, cells in read.items()}
    best = max(headers, key=lambda sign: (len(set(_REQUIRED) & set(headers[sign])), len(headers[sign])))
    own, header = read[best], headers[best]
    has_input = any(field == "input" or field.startswith("input.") for field in header)
    missing = [] if has_input else [required for required in _REQUIRED if required not in header]
    if missing and any(cell.count('"') % 2 for cell in own):
        raise InvalidRequest(f"{name}: the first line is not CSV: a quote is left open")
    if missing:
        raise InvalidRequest(f"{name}: {_lacking(missing, own)}")
    unknown = sorted({given.strip() for given, field in zip(own, header, strict=True) if not columns.is_known(field)})
    if unknown and not columns.ignore_unknown and _is_data(unknown):
        raise InvalidRequest(f"{name}: {_NO_HEADER}")
    if unknown and not columns.ignore_unknown:
        raise InvalidRequest(
            f"{name}: the CSV header names {', '.join(unknown)}, which is unknown: leave such columns out by"
            " --ignore-unknown, say what they are by --map OWN=FIELD, or keep them by --map OWN=metadata.OWN (over HTTP"
            f" ignore_unknown=true, map=OWN=FIELD); {_known()}{did_you_mean(unknown[0], FIELDS)}"
        )
    twice = sorted({field for field in header if field and columns.is_known(field) and header.count(field) > 1})
    if twice:
        raise InvalidRequest(f"{name}: the CSV header names {', '.join(twice)} more than once")
    for whole in _INSIDE:
        if whole in header and any(field.startswith(f"{whole}.") for field in header):
            raise InvalidRequest(f"{name}: give {whole} as one column or by --map OWN={whole}.OWN, not both")
    ignored = {"", *unknown} if columns.ignore_unknown else set()
    return best, [None if field in ignored else field for field in header]


def _lacking(missing: list[str], own: list[str]) -> str:
    """Return what is wrong with a first line that does not name these fields."""
    if _is_data(own):
        return _NO_HEADER
    there = [cell.strip() for cell in own if cell.strip()]
    meant = next(filter(None, (did_you_mean(cell, missing) for cell in there)), "")
    return (
        f"the CSV header lacks {', '.join(missing)} (or tool and input.FIELD); it has {', '.join(there)[:200]!a}{meant}"
        f"{'' if meant else '.'} A column of your own is named by --map OWN={missing[0]}, over HTTP"
        f" map=OWN={missing[0]}; between columns stands one of , ; tab |"
    )


def _is_data(cells: list[str]) -> bool:
    """Whether this is a row, not a header: then nothing of it is quoted, the signature of a URL is a secret."""
    return any("://" in cell for cell in cells)


def _cells(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error:
        return [text]


def _known() -> str:
    return f"known are {', '.join(sorted(FIELDS))}"

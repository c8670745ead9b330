"""Reads a tools file: tools that whoever has the vendor's page declares, without a line of code.

TOML or YAML, by the file's ending; a table for each tool, under its tool code (what follows `tool/` in its path):

    ["hair/change"]
    title = "Hairstyle changer"
    result = "outputImageUrl"

    ["hair/change".input]
    image = { type = "url", vendor = "imageUrl", required = true }

`ops/tools.example.toml` explains each key.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic.alias_generators import to_camel

from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.frozen import Model
from swapjobs.contract.vendor_tools.line_numbers import line_of
from swapjobs.contract.vendor_tools.reply import Family, Reply
from swapjobs.contract.vendor_tools.table import swap_tools
from swapjobs.contract.vendor_tools.tool import QUERY, Mark, Patience, Query, Tool, Way
from swapjobs.contract.vendor_tools.tool_input import ToolInput
from swapjobs.contract.wrong_values import form, what_is_wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,5}")
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPES: Final[Mapping[str, Any]] = {
    "url": Url,
    "text": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "urls": list[Url],
    "object": dict[str, Any],
}
_Family = Literal["R", "T", "A", "Q"]
_FINISHED: Final[Mapping[str, tuple[int, ...]]] = {"R": (1,), "T": (1, 0), "A": (1,), "Q": (2,)}
_RESULTS: Final = {"R": "outputImageUrl", "T": "caption", "A": "", "Q": "differentialImageRspList"}


class ToolsFileError(ValueError):
    """A tools file that can't be used; the text says what is wrong, and in which line."""


class _Strict(Model):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FieldEntry(_Strict):
    type: Literal["url", "text", "integer", "number", "boolean", "urls", "object"]
    vendor: str = Field(default="", max_length=64, description="the vendor's name; else ours in camelCase")
    required: bool = False
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    description: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.range is not None and self.type not in {"integer", "number"}:
            raise ValueError("range: goes with the types integer and number")
        if self.choices and self.type != "text":
            raise ValueError("choices: go with the type text")
        return self


_PATH: Final = form(r"^[A-Za-z0-9._/-]*$", "must be a path of letters, digits, '.', '_', '-' and '/', like hair/change")


class _ToolEntry(_Strict):
    title: str = Field(min_length=1)
    description: str = ""
    path: str = Field(default="", pattern=_PATH, description="below the vendor's prefix")
    input: dict[str, _FieldEntry]
    family: _Family = "R"
    result: str | None = None
    finished: tuple[int, ...] = ()
    failed: tuple[int, ...] = (2,)
    callback: bool = False
    query_path: str | None = Field(default=None, pattern=_PATH, description="empty: there is none")
    query_family: _Family | None = None
    id_field: str = Field(
        default="businessTaskId",
        pattern=form(r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?$", "must be the vendor's name of a field, or two like a.b"),
    )
    poll_s: tuple[float, float, float] | None = Field(
        default=None, description="first and longest pause between questions, and when to give up"
    )
    page: str = ""
    unknown: tuple[Literal["body", "reply", "result", "callback"], ...] = ()
    sandbox: str = "echo"


def read_tools(text: str, name: str) -> list[Tool]:
    """Return the tools that a file declares.

    Args:
        text: The file's content.
        name: Its name: for messages, and its ending says whether it is TOML (`.toml`) or YAML (`.yaml`, `.yml`).

    Raises:
        ToolsFileError: it can't be read, or an entry is not as it should be.
    """
    return [_tool(code, entry, text, name) for code, entry in _entries(text, name).items()]


def _entries(text: str, name: str) -> dict[str, Any]:
    kind = PurePath(name).suffix.lower()
    try:
        if kind == ".toml":
            return tomllib.loads(text)
        if kind in {".yaml", ".yml"}:
            return _of_yaml(text, name)
    except tomllib.TOMLDecodeError as error:
        raise ToolsFileError(f"{name}: is not TOML: {error}") from None
    raise ToolsFileError(f"{name}: must end in .toml, .yaml or .yml")


def _of_yaml(text: str, name: str) -> dict[str, Any]:
    try:
        import yaml  # noqa: PLC0415 - only who writes YAML needs it
    except ImportError:
        raise ToolsFileError(f"{name}: YAML needs swapjobs[yaml], TOML needs nothing") from None
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ToolsFileError(f"{name}: {where}is not YAML: {getattr(error, 'problem', '')}") from None
    if not isinstance(read, dict) or not all(isinstance(code, str) for code in read):
        raise ToolsFileError(f"{name}: is no mapping of tool codes")
    return read


def _tool(code: str, entry: Any, text: str, name: str) -> Tool:
    def refuse(where: tuple[str, ...], problem: str) -> ToolsFileError:
        line = line_of(text, PurePath(name).suffix.lower(), (code, *where))
        at = ".".join(where)
        return ToolsFileError(f"{name}, line {line}: {code}{': ' + at if at else ''}: {problem}")

    if not _NAME.fullmatch(code):
        raise refuse((), "is no tool code: letters, digits, . _ - with slashes between, as after tool/ in the path")
    if code in {tool.name for tool in swap_tools()}:
        raise refuse((), "is a swap tool, which is as it is")
    try:
        read = _ToolEntry.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = tuple(str(part) for part in first["loc"])
        raise refuse(where, what_is_wrong(first, _ToolEntry.model_fields if len(where) == 1 else ())) from None
    for field in read.input:
        if not _FIELD.fullmatch(field) or field.startswith("model_config"):
            raise refuse(("input", field), "a field is named in lower case, with digits and _")
    return _row(code, read)


def _row(code: str, entry: _ToolEntry) -> Tool:
    path = entry.path or f"tool/{code}"
    asked = entry.query_family or entry.family
    ways = () if entry.query_path == "" else (Way(entry.query_path or f"{path}{QUERY}"),)
    result = entry.result if entry.result is not None else None
    known = {what: Mark.UNKNOWN if what in entry.unknown else Mark.DOCUMENTED for what in _ALL}
    return Tool(
        code,
        entry.title,
        path,
        _input_of(code, entry),
        _reply(entry.family, result if entry.query_family is None else None, entry),
        Query(ways, _reply(asked, result, entry)) if ways else None,
        id_path=tuple(entry.id_field.split(".")),
        takes_callback=entry.callback,
        patience=Patience(*entry.poll_s) if entry.poll_s else None,
        marks=known,
        page=entry.page,
        sandbox=entry.sandbox,
        is_declared=True,
    )


_ALL: Final = ("body", "reply", "result", "callback")


def _reply(family: _Family, result: str | None, entry: _ToolEntry) -> Reply:
    waiting = frozenset({0, 1, 3}) if family == "Q" else frozenset[int]()
    finished = entry.finished or _FINISHED[family]
    failed = frozenset(entry.failed) - frozenset(finished)
    return Reply(
        Family(family), result if result is not None else _RESULTS[family], finished, failed, waiting - set(finished)
    )


def _input_of(code: str, entry: _ToolEntry) -> type[ToolInput]:
    fields = {name: _field(name, field) for name, field in entry.input.items()}
    title = "".join(part.capitalize() for part in re.split("[^A-Za-z0-9]+", code))
    about = entry.description or f"{entry.title}."
    return create_model(title, __base__=ToolInput, __doc__=about, **fields)


def _field(name: str, entry: _FieldEntry) -> Any:
    low, high = entry.range or (None, None)
    kind: Any = Literal[entry.choices] if entry.choices else _TYPES[entry.type]
    bounds = Field(alias=entry.vendor or to_camel(name), ge=low, le=high, description=entry.description or None)
    if entry.required:
        return (Annotated[kind, bounds], ...)
    return (Annotated[kind | None, bounds], None)

"""What a producer asks for: a swap (`SwapRequest`), or a job of any tool (`JobRequest`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import MAX_BUSINESS_ID, BusinessId, Name, Priority, explain, is_business_id
from swapjobs.contract.timestamps import KeptTime
from swapjobs.contract.urls import CallbackUrl, without_signature
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, TOOLS, swap_tools, tool_of
from swapjobs.contract.vendor_tools.tool_input import ToolInput, with_urls
from swapjobs.contract.wrong_values import joined, must_be_one_of, unknown_names

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.tool import Tool

MAX_METADATA_BYTES: Final = 4096
MAX_INPUT_BYTES: Final = 131_072  # of a tool's input as JSON: a hundred presigned URLs and more
_NO_REQUEST: Final = "a request must be a SwapRequest, a JobRequest or a mapping of their fields"

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # made once: bulk submits call it a lot


class _WrongField(ValueError):
    """A field that is not as the tool wants it, found when the request is looked at as a whole."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class Request(FrozenModel):
    """What all requests have in common.

    Raises:
        pydantic.ValidationError: a field is not valid; `parse` raises `InvalidRequest` instead.
    """

    business_task_id: BusinessId | None = Field(
        default=None, description="the caller's own id: same id and same request is the same job"
    )
    tool: str = DEFAULT_TOOL
    tenant: Name = "default"
    priority: Priority = "interactive"
    callback_url: CallbackUrl | None = Field(
        default=None, description="a signed webhook is sent there when the job is final"
    )
    callback_style: Literal["standard", "vendor"] = Field(
        default="standard", description="vendor: the body, and what counts as received, are those of the vendor's API"
    )
    expires_at: KeptTime | None = Field(default=None, description="give up when not done by then")
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="handed back unchanged")
    batch_id: Name | None = None

    @field_validator("business_task_id", mode="before")
    @classmethod
    def _explain_business_id(cls, value: Any) -> Any:
        if isinstance(value, str) and not is_business_id(value):
            raise ValueError(f"must be 1 to {MAX_BUSINESS_ID} printable ASCII characters")
        return value

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
        except (ValueError, RecursionError):
            raise ValueError("cannot be kept as JSON: no infinity, no NaN, no half surrogate pairs") from None
        if size > MAX_METADATA_BYTES:
            raise ValueError(f"is larger than {MAX_METADATA_BYTES} bytes as JSON")
        return value

    @property
    def tool_input(self) -> ToolInput:
        """What the tool is given, typed."""
        raise NotImplementedError

    def urls(self) -> list[str]:
        """Return the URLs that the vendor is to fetch."""
        return self.tool_input.urls()

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Return a request made of `data`, a mapping.

        Raises:
            InvalidRequest: with a message that names the field and says what would be right.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            if not isinstance(data, Mapping):
                raise InvalidRequest(_NO_REQUEST) from None
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            field = str(first["loc"][0]) if first["loc"] else cause.field if isinstance(cause, _WrongField) else None
            text = explain(error, known=cls.model_fields)
            # A name that is misspelt, too: the field that is missing may be meant by it.
            more = cls._unknown_names(data) if first["loc"] else []
            raise InvalidRequest(joined([text, *more]), field=field) from None

    @classmethod
    def _unknown_names(cls, _data: Mapping[str, Any]) -> list[str]:
        """Return what is said of names that are no fields, besides what the model says of its own."""
        return []

    def fingerprint(self) -> str:
        """Return 16 characters that differ between requests that ask the vendor for different things."""
        return _digest(_canonical([self.tool, with_urls(self.tool_input.body(), without_signature)]))


class SwapRequest(Request):
    """Put the face of the source picture into the target picture.

    A tool's own fields (`fidelity_weight`, `second_source_url`, `face_idx`) are given beside these: see `vendor_tools`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    source_url: Url = Field(description="picture that gives the face")
    target_url: Url = Field(description="picture that receives it")

    @model_validator(mode="after")
    def _check_tool(self) -> Self:
        tool = TOOLS.get(self.tool)
        if tool is None or not tool.is_swap:
            other = f"; {self.tool} is asked for with `input`" if tool else ""
            must = must_be_one_of(self.tool, [tool.name for tool in swap_tools()])
            raise _WrongField("tool", f"tool: with source_url and target_url it {must}{other}")
        if self.model_extra:
            made = _input_of(tool, self._given(), prefix="").stored()
            self.model_extra.update((name, made[name]) for name in self.model_extra.keys() & made.keys())
        return self

    def urls(self) -> list[str]:
        """Return the URLs that the vendor is to fetch."""
        return super().urls() if self.model_extra else [self.source_url, self.target_url]

    def fingerprint(self) -> str:
        """Return what it is of any request; the body around two URLs is made once, as bulk submits come here a lot."""
        if self.model_extra:
            return super().fingerprint()
        source = _canonical(with_urls(self.source_url, without_signature))
        target = _canonical(with_urls(self.target_url, without_signature))
        return _digest(_template(self.tool, TOOLS[self.tool].input) % {"source": source, "target": target})

    @classmethod
    def _unknown_names(cls, data: Mapping[str, Any]) -> list[str]:
        """Return what is said of them: the model takes any, until both URLs are there and the tool can be asked."""
        own = [name for tool in swap_tools() for name in tool.input.model_fields]
        return unknown_names(data, dict.fromkeys([*cls.model_fields, *own, "input"]))

    def _given(self) -> dict[str, Any]:
        return {"source_url": self.source_url, "target_url": self.target_url, **(self.model_extra or {})}

    @property
    def tool_input(self) -> ToolInput:
        """What the tool is given, typed."""
        kind = TOOLS[self.tool].input
        # the two URLs were checked: bulk submits come here a lot
        return kind.model_validate(self._given()) if self.model_extra else kind.model_construct(**self._given())


class JobRequest(Request):
    """A job of any tool.

    `input` is a mapping of what the tool takes, or its model of `swapjobs.tools`, which says which tool it is.
    """

    tool: str = Field(default="", description="which one; a model as input says it too")
    input: SerializeAsAny[ToolInput] = Field(description="what the tool takes")

    @model_validator(mode="before")
    @classmethod
    def _read_input(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = data.get("input")
        made = tool_of(given) if isinstance(given, ToolInput) else None
        name = data.get("tool", made.name if made else None)
        tool = TOOLS.get(name) if isinstance(name, str) else None
        if tool is None:
            tasks = [tool.name for tool in TOOLS.values() if tool.is_task]
            raise _WrongField("tool", f"tool: {must_be_one_of(name, tasks)}")
        if not tool.is_task:
            raise _WrongField("tool", f"tool: {tool.name} is {tool.note}")
        if made is not None and made is not tool:
            raise _WrongField("tool", f"tool: {tool.name} does not take the input of {made.name}")
        if given is None:
            return {**data, "tool": tool.name}
        return {**data, "tool": tool.name, "input": _sized(given) if made else _input_of(tool, given, prefix="input.")}

    @property
    def tool_input(self) -> ToolInput:
        """What the tool is given, typed."""
        return self.input


def parse_request(data: Any) -> Request:
    """Return the request that a mapping asks for: with `input` of any tool, else of a swap.

    Raises:
        InvalidRequest: with a message that names the field and says what would be right.
    """
    if not isinstance(data, (dict, Mapping)):  # a dict is told at once, a mapping is looked up
        return SwapRequest.parse(data)
    if "input" in data:
        return JobRequest.parse(data)
    name = data.get("tool")
    tool = TOOLS.get(name) if isinstance(name, str) else None
    if tool is not None and not tool.is_swap:
        required = ", ".join(name for name, field in tool.input.model_fields.items() if field.is_required())
        meant = [text for text in unknown_names(data, JobRequest.model_fields) if text.endswith("mean input?")]
        text = f"input: what {tool.name} takes stands in there: {required or 'nothing'}"
        raise InvalidRequest(joined([text, *meant]), field="input")
    return SwapRequest.parse(data)


def as_stored(request: Request) -> Request:
    """Return a request as it is kept: a swap in its own form, however it was asked for."""
    if not (isinstance(request, JobRequest) and TOOLS[request.tool].is_swap):
        return request
    common = {name: getattr(request, name) for name in request.model_fields_set - {"input"}}
    return SwapRequest.model_validate({**common, **request.input.stored()})


@cache
def _template(tool: str, kind: type[ToolInput]) -> str:
    """Return what `Request.fingerprint` makes its digest of, for a swap of two URLs, with places for these."""
    given: dict[str, Any] = {"source_url": "<source>", "target_url": "<target>"}
    text = _canonical([tool, kind.model_construct(**given).body()]).replace("%", "%%")
    return text.replace('"<source>"', "%(source)s").replace('"<target>"', "%(target)s")


def _digest(canonical: str) -> str:
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def _input_of(tool: Tool, given: Any, *, prefix: str) -> ToolInput:
    try:
        made = tool.input.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]["loc"]
        field = prefix + str(first[0]) if first else prefix.rstrip(".")
        known = [*tool.input.model_fields, *([] if prefix else Request.model_fields)]  # of a swap they stand together
        raise _WrongField(field, f"{explain(error, prefix, known)} (tool {tool.name})") from None
    return _sized(made)


def _sized(given: ToolInput) -> ToolInput:
    if len(given.model_dump_json(exclude_defaults=True).encode()) > MAX_INPUT_BYTES:
        raise _WrongField("input", f"input: is larger than {MAX_INPUT_BYTES} bytes as JSON")
    return given

"""The contract as frozen pydantic models: what a producer asks for, and what it is told.

The same fields appear in Python, in the command line's `--json`, over HTTP and in webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.lifecycle import JobState, Reason
from swapjobs.contract.timestamps import KeptTime
from swapjobs.contract.urls import CallbackUrl, without_signature
from swapjobs.contract.vendor_tools import BLANK, DEFAULT_TOOL, TOOLS, ToolFields, Url

MAX_METADATA_BYTES: Final = 4096

_BASE32: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")
MAX_BUSINESS_ID: Final = 255
# Printable ASCII. What the vendor gets for one that is long or holds a "~" is derived: see `vendor_client/request.py`.
BusinessId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_BUSINESS_ID, pattern=r"^[ -~]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Priority = Literal["interactive", "bulk"]

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # made once: bulk submits call it a lot


class _WrongField(ValueError):
    """A field that is not as the tool wants it, found when the request is looked at as a whole."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class SwapRequest(FrozenModel):
    """Put the face of the source picture into the target picture.

    A tool's own fields (`fidelity_weight`, `second_source_url`, `face_idx`) are given beside these: see `vendor_tools`.

    Raises:
        pydantic.ValidationError: a field is not valid; `SwapRequest.parse` raises `InvalidRequest` instead.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    source_url: Url = Field(description="picture that gives the face")
    target_url: Url = Field(description="picture that receives it")
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

    @model_validator(mode="after")
    def _check_tool(self) -> Self:
        if self.tool not in TOOLS:
            raise _WrongField("tool", f"tool: must be one of {', '.join(TOOLS)}")
        extra = self.model_extra or {}
        if extra:
            try:
                TOOLS[self.tool].model_validate(extra)
            except ValidationError as error:
                raise _WrongField(str(error.errors()[0]["loc"][0]), f"{explain(error)} (tool {self.tool})") from None
        return self

    @property
    def tool_fields(self) -> ToolFields:
        """The tool's own fields, typed."""
        return TOOLS[self.tool].model_validate(self.model_extra) if self.model_extra else BLANK[self.tool]

    @classmethod
    def parse(cls, data: Any) -> SwapRequest:
        """Return a request made of `data`, a mapping.

        Raises:
            InvalidRequest: with a message that names the field and says what would be right.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            field = str(first["loc"][0]) if first["loc"] else cause.field if isinstance(cause, _WrongField) else None
            raise InvalidRequest(explain(error), field=field) from None

    def fingerprint(self) -> str:
        """Return 16 characters that differ between requests that ask the vendor for different things."""
        fields = self.tool_fields
        urls = {name: without_signature(url) for name, url in fields if name.endswith("_url") and url}
        fields = fields.model_copy(update=urls) if urls else fields
        canonical = _canonical(
            [self.tool, fields.body(without_signature(self.source_url), without_signature(self.target_url))]
        )
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


class JobError(FrozenModel):
    """Why a job failed."""

    code: ErrorCode
    message: str
    retryable: bool = False
    raw: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="only of `bad_response`: what the vendor sent in place of a picture's URL, as it came",
    )


class SwapResult(FrozenModel):
    """What the vendor gave for a job; assume that `output_url` does not live for ever."""

    output_url: str
    vendor_task_id: str | None = None


class WebhookStatus(FrozenModel):
    """How the webhook of a job stands."""

    url: str
    state: Literal["none", "pending", "delivered", "undelivered"]
    attempts: int = 0
    last_status: int | None = Field(default=None, description="HTTP status of the last try, if there was an answer")
    next_attempt_at: datetime | None = None


class Job(FrozenModel):
    """A job as it stands now. Times are UTC."""

    id: str
    state: JobState
    tool: str
    tenant: str
    priority: Priority
    business_task_id: str
    source_url: str
    target_url: str
    output_url: str | None = None
    error: JobError | None = None
    attempts: int = Field(default=0, description="attempts since it was submitted or retried, with one under way")
    failed_attempts: int = Field(
        default=0, description="failures that count towards SWAPJOBS_MAX_ATTEMPTS; a lost reply is one, an outage none"
    )
    reason: Reason | None = None
    next_attempt_at: datetime | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    batch_id: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    webhook: WebhookStatus | None = None


class Submission(FrozenModel):
    """What became of one request of `submit_many`."""

    id: str | None
    outcome: Literal["created", "existing", "conflict", "invalid"]
    error: str | None = None


def is_business_id(text: str) -> bool:
    """Whether a text can be a `business_task_id`."""
    return 1 <= len(text) <= MAX_BUSINESS_ID and text.isascii() and text.isprintable()


def is_job_id(text: str) -> bool:
    """Whether a text looks like one of our ids."""
    return len(text) == 24 and text.isascii() and set(text) <= _BASE32  # noqa: PLR2004 - see `job_id`


def job_id(tenant: str, business_task_id: str) -> str:
    """Return the id of the job: a function of the two, which makes submitting idempotent without an index.

    24 lower-case letters and digits (120 bits).
    """
    digest = hashlib.blake2b(f"{tenant}~{business_task_id}".encode(), digest_size=15).digest()
    return base64.b32encode(digest).decode().lower()


def checked(kind: TypeAdapter[str], field: str, value: Any) -> str:
    """Return the value of one field.

    Raises:
        InvalidRequest: it is not of this kind; the text says what is wrong.
    """
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(f"{field}: {explain(error)}", field=field) from None


def explain(error: ValidationError) -> str:
    """Return the first problems of `error` in words: field, what is wrong; never the value, it may be a secret."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        field = ".".join(str(part) for part in problem["loc"][:4])
        text = problem["msg"].removeprefix("Value error, ")[:300]
        lines.append(f"{field}: {text}" if field else text)
    return "; ".join(lines)

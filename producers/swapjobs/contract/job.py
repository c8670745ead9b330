"""The contract as frozen pydantic models: what a producer is told of a job. What it asks for: `request.py`.

The same fields appear in Python, in the command line's `--json`, over HTTP and in webhooks.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter, ValidationError

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.lifecycle import JobState, Reason
from swapjobs.contract.output import Output
from swapjobs.contract.vendor_tools.tool_input import urls_in
from swapjobs.contract.wrong_values import form, joined, place_of, what_is_wrong

if TYPE_CHECKING:
    from collections.abc import Collection

_DIGITS: Final = "abcdefghijklmnopqrstuvwxyz234567"  # of base 32 (RFC 4648), in lower case
_BASE32: Final = frozenset(_DIGITS)
# Ten bits at a time take half as long as base64.b32encode, and every job of a bulk submit comes here.
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_SHIFTS: Final = range(110, -1, -10)
MAX_BUSINESS_ID: Final = 255
# Printable ASCII. What the vendor gets for one that is long or holds a "~" is derived: see `vendor_ids.py`.
BusinessId = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=MAX_BUSINESS_ID, pattern=form(r"^[ -~]+$", "must be printable ASCII characters")
    ),
]
NAME_FORM: Final = "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=form(r"^[A-Za-z0-9._-]+$", NAME_FORM))]
_LONGEST_TEXT: Final = 1000  # of one problem; a list of all tools has its place
Priority = Literal["interactive", "bulk"]


class JobError(FrozenModel):
    """Why a job failed."""

    code: ErrorCode
    message: str
    retryable: bool = Field(
        default=False, description="whether the same request may succeed when it is retried; false: mend it first"
    )
    raw: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="only of `bad_response`: what the vendor sent in place of a picture's URL, as it came",
    )


class WebhookStatus(FrozenModel):
    """How the webhook of a job stands."""

    url: str
    state: Literal["none", "pending", "delivered", "undelivered"]
    attempts: int = 0
    last_status: int | None = Field(default=None, description="HTTP status of the last try, if there was an answer")
    last_error: str | None = Field(
        default=None, description="why the last try came to nothing; such as an address to which nothing is sent"
    )
    next_attempt_at: datetime | None = None


class Job(FrozenModel):
    """A job as it stands now. Times are UTC."""

    id: str
    state: JobState
    tool: str
    tenant: str
    priority: Priority
    business_task_id: str
    source_url: str | None = Field(default=None, description="of a swap")
    target_url: str | None = Field(default=None, description="of a swap")
    input: dict[str, JsonValue] = Field(default_factory=dict, description="what the tool was given")
    output_url: str | None = Field(default=None, description="the first picture of `outputs`")
    outputs: tuple[Output, ...] = Field(default=(), description="all that the vendor gave")
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

    @property
    def input_urls(self) -> list[tuple[str, str]]:
        """The URLs that the tool was given, each behind the name of its field."""
        given = self.input or {"source_url": self.source_url, "target_url": self.target_url}
        return [(name, url) for name, value in given.items() for url in urls_in(value)]


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


DEFAULT_TENANT: Final = "default"  # of those who have no use for tenants


def job_id(tenant: str, business_task_id: str) -> str:
    """Return the id of the job: a function of the two, which makes submitting idempotent without an index.

    24 lower-case letters and digits (120 bits).
    """
    digest = hashlib.blake2b(f"{tenant}~{business_task_id}".encode(), digest_size=15).digest()
    number = int.from_bytes(digest)
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def checked(kind: TypeAdapter[str], field: str, value: Any) -> str:
    """Return the value of one field.

    Raises:
        InvalidRequest: it is not of this kind; the text says what is wrong.
    """
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(f"{field}: {explain(error)}", field=field) from None


def explain(error: ValidationError, prefix: str = "", known: Collection[str] = ()) -> str:
    """Return the first problems of `error` in words: field, what is wrong; never the value, it may be a secret.

    Args:
        error: Of a model of the contract.
        prefix: Stands before the names of fields, where the model is a part of another.
        known: The names that its fields have.
    """
    lines = []
    for problem in error.errors(include_url=False)[:5]:
        field = (prefix + place_of(problem)).rstrip(".")
        text = what_is_wrong(problem, known if len(problem["loc"]) == 1 else ())[:_LONGEST_TEXT]
        lines.append(f"{field}: {text}" if field else text)
    return joined(lines)


def invalid(error: ValidationError, known: Collection[str]) -> InvalidRequest:
    """Return `error` of a model with these fields as what a caller is told: `explain`, and the first field of it."""
    place = error.errors(include_url=False, include_input=False)[0]["loc"]
    return InvalidRequest(explain(error, known=known), field=str(place[0]) if place else None)

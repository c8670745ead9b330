"""How a job lies in Redis: a hash of small fields and a history of JSON lines; and back into a `Job`.

The hash stays below 64 bytes a field, so that Redis packs it tightly; what is longer is a line of the history:
first the request, then `attempt` (a failure after which it goes on), `error` (why it failed for good), `result`,
`webhook` (a try), `retry` (the user's: a new round begins, what stands before it is the past).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import Job, JobError, WebhookStatus, job_id
from swapjobs.contract.lifecycle import JobState, Reason
from swapjobs.contract.output import first_picture, outputs_of
from swapjobs.contract.request import Request, as_stored
from swapjobs.contract.urls import target_of
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL
from swapjobs.store.attempt_log import calls_of, number_of
from swapjobs.tracing import NOWHERE, JobOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Kind = Literal["attempt", "error", "result", "webhook", "retry"]
RETRY_ENTRY: Final = '{"kind": "retry", "at": %d, "round": %d}'  # operations/retry.lua fills it in
# The last line of a job whose URLs are past their time; signed_urls.lua fills in when that was.
URL_EXPIRED_ENTRY: Final = json.dumps(
    {
        "kind": "error",
        "code": ErrorCode.IMAGE_UNREACHABLE,
        "message": "signature expired at %s: submit it again with fresh URLs, and retry it",
        "retryable": True,
    }
)
_ERROR: Final = frozenset(JobError.model_fields)
_LONGEST_FIELD: Final = 64  # a hash with a longer one takes Redis three times the room
ORIGIN_FIELDS: Final = frozenset({"traceparent", "trace_link", "request_id"})  # of the first line, beside the request
_NO_INPUT: Final = ORIGIN_FIELDS | Request.model_fields.keys()
_KEPT_IN_HASH = frozenset({"tenant", "priority", "business_task_id", "expires_at", "batch_id"})


@dataclass(frozen=True)
class Record:
    """A job's record as read."""

    id: str
    fields: Mapping[str, str]
    history: Sequence[Mapping[str, Any]]

    @property
    def request(self) -> Mapping[str, Any]:
        """The request as submitted, without what stands in the hash and without defaults."""
        return self.history[0]

    @property
    def tool(self) -> str:
        """The tool's name."""
        return str(self.request.get("tool", DEFAULT_TOOL))

    @property
    def input(self) -> dict[str, Any]:
        """What the tool is given; of a swap it stands beside the rest of the request."""
        if "input" in self.request:
            return dict(self.request["input"])
        return {name: self.request[name] for name in input_fields(self.request)}

    def number(self, name: str, default: int = 0) -> int:
        """Return a counter or a time in ms."""
        return int(self.fields.get(name, default))

    def last(self, kind: Kind) -> Mapping[str, Any] | None:
        """Return the newest history entry of this kind; but for the retry itself, none from before the last retry."""
        result = next((line for line in reversed(self.history) if line.get("kind") in {kind, "retry"}), None)
        return result if result and result["kind"] == kind else None

    def time(self, name: str) -> datetime | None:
        """Return a time of the hash."""
        value = self.fields.get(name)
        return datetime.fromtimestamp(int(value) / 1000, UTC) if value else None

    @property
    def business_id(self) -> str:
        """The caller's own id; a long one stands in the request."""
        return self.fields["business_id"] or str(self.request["business_task_id"])

    @property
    def batch_id(self) -> str | None:
        """The batch that it belongs to; older records have it in the request."""
        return self.fields.get("batch") or self.request.get("batch_id")

    @property
    def origin(self) -> JobOrigin:
        """Where it comes from."""
        request, is_linked = self.request, "trace_link" in self.request
        if not is_linked and "traceparent" not in request and "request_id" not in request:
            return NOWHERE
        traceparent = request.get("trace_link" if is_linked else "traceparent", "")
        return JobOrigin(traceparent, request.get("request_id", ""), is_linked)

    @property
    def error(self) -> JobError | None:
        """Why the job ended without a picture: of a failed or expired job, not of one that was retried."""
        if self.fields["state"] == JobState.EXPIRED:
            return JobError(code=ErrorCode.EXPIRED, message="expires_at passed before the job was done")
        line = self.last("error") if self.fields["state"] == JobState.FAILED else None
        return JobError(**{name: line[name] for name in _ERROR if name in line}) if line else None

    @property
    def failed_attempts(self) -> int:
        """Failures of this round that are charged, with the one that was final at once."""
        line = self.last("error") if self.fields["state"] == JobState.FAILED else None
        final_at_once = line is not None and "at" in line and "last_message" not in line
        return self.number("attempts") + final_at_once

    def to_job(self) -> Job:
        """Return the job as producers see it."""
        outputs, given = outputs_of(self.last("result")), self.input
        # Sent, and its outcome is not known yet. Before the first look-up there may be no word of it in the history.
        sent_at = self.number("sent_at") if self.fields.get("next_call") == "query" else 0
        return Job(
            id=self.id,
            state=JobState(self.fields["state"]),
            tool=self.tool,
            tenant=self.fields["tenant"],
            priority=cast("Any", self.fields["priority"]),
            business_task_id=self.business_id,
            source_url=self.request.get("source_url"),
            target_url=self.request.get("target_url"),
            input=given,
            output_url=first_picture(outputs),
            outputs=outputs,
            error=self.error,
            attempts=number_of(self.history, sent_at) if sent_at else len(calls_of(self.history)[-1]),
            failed_attempts=self.failed_attempts,
            reason=Reason(self.fields["reason"]) if "reason" in self.fields else None,
            next_attempt_at=self.time("next_attempt_at"),
            created_at=cast("datetime", self.time("created_at")),
            started_at=self.time("started_at"),
            finished_at=self.time("finished_at"),
            expires_at=self.time("expires_at"),
            batch_id=self.batch_id,
            metadata=self.request.get("metadata", {}),
            webhook=self._webhook(),
        )

    def _webhook(self) -> WebhookStatus | None:
        if "delivery_state" not in self.fields:
            return None
        return WebhookStatus(
            url=self.request["callback_url"],
            state=cast("Any", self.fields["delivery_state"]),
            attempts=self.number("delivery_tries"),
            last_status=int(self.fields["delivery_status"]) if self.fields.get("delivery_status") else None,
            next_attempt_at=self.time("delivery_next_at"),
        )


def input_fields(request: Mapping[str, Any]) -> list[str]:
    """Return which fields of a request, as it lies in Redis, are what the tool is given."""
    return [name for name in request if name not in _NO_INPUT]


def entry(kind: Kind, **values: Any) -> str:
    """Return one line of history."""
    named = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"kind": kind, **named}, separators=(",", ":"))


def pack(request: Request, origin: JobOrigin = NOWHERE) -> str:
    """Return the first line of history: the request, and where it comes from."""
    is_long = len(request.business_task_id or "") > _LONGEST_FIELD
    exclude = set(_KEPT_IN_HASH - {"business_task_id"} if is_long else _KEPT_IN_HASH)
    line = request.model_dump_json(exclude=exclude, exclude_defaults=True)
    trace = "trace_link" if origin.is_linked else "traceparent"
    known = {name: text for name, text in ((trace, origin.traceparent), ("request_id", origin.request_id)) if text}
    return line[:-1] + "," + json.dumps(known, separators=(",", ":"))[1:] if known else line


def packed(
    requests: Sequence[Request], until_when: Callable[[Request], str], origins: Iterable[JobOrigin]
) -> tuple[list[str], list[str]]:
    """Return the ids, and the arguments of submit.lua: eight for each job."""
    args: list[str] = []
    ids: list[str] = []
    for request, origin in zip(map(as_stored, requests), origins, strict=False):
        business_id = request.business_task_id or secrets.token_hex(12)
        ids.append(job_id(request.tenant, business_id))
        args += [
            ids[-1],
            request.fingerprint(),
            request.tenant,
            request.priority,
            business_id if len(business_id) <= _LONGEST_FIELD else "",
            pack(request, origin),
            in_brief(request),
            until_when(request),
        ]
    return ids, args


def in_brief(request: Request) -> str:
    """Return `expires_at webhook_host batch tool` as submit.lua takes them."""
    expires = str(int(request.expires_at.timestamp() * 1000)) if request.expires_at else "-"
    host = target_of(request.callback_url).site if request.callback_url else "-"
    return f"{expires} {host} {request.batch_id or '-'} {request.tool}"


def unpack(job_id: str, fields: Mapping[str, str], history: str) -> Record:
    """Return the record made of what Redis holds."""
    return Record(job_id, fields, [json.loads(line) for line in history.split("\n")])


def is_own_delivery(delivery_id: str) -> bool:
    """Say whether this is a job's own delivery, in the job's record and under its id; see lua/history.lua."""
    return "@" not in delivery_id


def is_continuation(delivery_id: str) -> bool:
    """Say whether this tells a product's own Celery app of the end of its task; see webhooks/continuations.lua."""
    return delivery_id.endswith("@celery")


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Return a mapping of a flat list `field, value, field, value`."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

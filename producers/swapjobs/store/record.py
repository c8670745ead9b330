"""How a job lies in Redis, as one string: a line of fields, then its history of JSON lines; and back into a `Job`.

The line of fields has those of `HEAD` by their place, with a tab between, then others as `name=value`. The default
tenant is left out. `waited_ms` is from `created_at` to `started_at`, `ran_ms` from there to `finished_at`, or from
`created_at` where it never started: half as long as times. The history begins with the request; then come `attempt`
(a failure after which it goes on), `error` (why it failed for good), `result`, `webhook` (a try), `retry` (the user's:
a new round begins, what stands before it is the past). One string takes half the memory of a hash with a history
beside it, and one command. lua/shared/records/record.lua writes it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import DEFAULT_TENANT, Job, JobError, WebhookStatus, job_id
from swapjobs.contract.lifecycle import JobState, Reason
from swapjobs.contract.output import first_picture, outputs_of
from swapjobs.contract.request import Request, as_stored
from swapjobs.contract.urls import target_of
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL
from swapjobs.store import keys
from swapjobs.store.attempt_log import calls_of, number_of
from swapjobs.tracing import NOWHERE, JobOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

HEAD: Final = (
    *("state", "tenant", "priority", "business_id", "fingerprint"),
    *("created_at", "claims", "waited_ms", "ran_ms"),
)
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
ORIGIN_FIELDS: Final = frozenset({"traceparent", "trace_link", "request_id"})  # of the first line, beside the request
_NO_INPUT: Final = ORIGIN_FIELDS | Request.model_fields.keys()
_KEPT_AS_FIELDS: Final = {"tenant", "priority", "business_task_id", "expires_at", "batch_id"}


@dataclass(frozen=True)
class Record:
    """The record of a job, or of a delivery, as read."""

    id: str
    fields: Mapping[str, str]
    history: Sequence[Mapping[str, Any]]

    @property
    def request(self) -> Mapping[str, Any]:
        """The request as submitted, without what the fields say and without defaults."""
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
        """Return a time of the fields."""
        value = self.fields.get(name)
        return datetime.fromtimestamp(int(value) / 1000, UTC) if value else None

    @property
    def business_id(self) -> str:
        """The caller's own id."""
        return self.fields["business_id"]

    @property
    def batch_id(self) -> str | None:
        """The batch that it belongs to."""
        return self.fields.get("batch")

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
            last_error=(self.last("webhook") or {}).get("reason") or None,
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
    line = request.model_dump_json(exclude=_KEPT_AS_FIELDS, exclude_defaults=True)
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
            business_id,
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


def unpack(id_: str, text: str) -> Record:
    """Return the record made of what Redis holds."""
    line, _, lines = text.partition("\n")
    fields, history = _fields(line), [json.loads(entry) for entry in lines.split("\n")]
    if len(history) > 1 and history[1].get("kind") == "result":
        history[1] = _with_times(history[1], fields)
    return Record(id_, fields, history)


def fields_of(text: str) -> dict[str, str]:
    """Return the fields of a record; not its history, which takes most of the time to read."""
    return _fields(text.partition("\n")[0])


def history_of(text: str) -> str:
    """Return the history of a record, as it lies in Redis."""
    return text.partition("\n")[2]


def _with_times(result: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the result of a first attempt with the times that it has in common with the job, and does not say."""
    if "duration_ms" in result or "started_at" not in fields:
        return result
    at = int(result.get("at", fields["started_at"]))
    took_ms = int(fields["finished_at"]) - at if fields["state"] == JobState.SUCCEEDED else 0
    return {**result, "at": at, "duration_ms": max(took_ms, 0)}


def _fields(line: str) -> dict[str, str]:
    values = line.split("\t")
    fields = {name: value for name, value in zip(HEAD, values, strict=False) if value}
    fields.setdefault("tenant", DEFAULT_TENANT)
    at = int(fields.get("created_at", 0))
    for span, time in (("waited_ms", "started_at"), ("ran_ms", "finished_at")):
        if span in fields:
            at += int(fields.pop(span))
            fields[time] = str(at)
    if len(values) > len(HEAD):
        fields |= dict(item.split("=", 1) for item in values[len(HEAD) :])
    return fields


def is_own_delivery(delivery_id: str) -> bool:
    """Say whether this is a job's own delivery, in the job's record and under its id."""
    return "@" not in delivery_id


def key_of(id_: str) -> str:
    """Return the key of the record of a job, or of a delivery; see lua/shared/records/record.lua."""
    return keys.job(id_) if is_own_delivery(id_) else keys.delivery(id_)


def is_continuation(delivery_id: str) -> bool:
    """Say whether this tells a product's own Celery app of the end of its task; see webhooks/continuations.lua."""
    return delivery_id.endswith("@celery")


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Return a mapping of a flat list `field, value, field, value`."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

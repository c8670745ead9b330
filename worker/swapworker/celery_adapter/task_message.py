"""Reads the messages of products' tasks as kombu's Redis transport puts them (Celery's task protocol, version 2)."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from kombu.utils import json as kombu_json

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.job import is_business_id
from swapjobs.contract.request import parse_request
from swapjobs.store.celery_message import SWAP_TASK
from swapjobs.store.keys import SWAPS_QUEUE
from swapjobs.store.product_tasks import ProductTask
from swapjobs.tracing import JobOrigin, parse_traceparent
from swapworker.delivery.continuation import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

MAX_CONTINUATION_BYTES: Final = 262_144
# Of the message's headers and of what is embedded in its body: what says what comes after the task, and for whom.
_HEADERS: Final = (
    *("root_id", "parent_id", "group", "group_index", "ignore_result", "replaced_task_nesting"),
    *("stamped_headers", "stamps"),
)
_EMBEDDED: Final = ("callbacks", "errbacks", "chain", "chord")
_PICTURES: Final = ("source_url", "target_url")


class NotOurs(Exception):
    """A message that can't be used: no task of ours, or nothing that can be read."""


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A message as read.

    Attributes:
        id: The task's.
        raw: As it lies in Redis.
        context: What its sender wants to be done when it is over; see Celery's `Context`.
        eta_ms: Not before this time; 0: at once.
        expires: Not after this time.
        traceparent: The span in which it was sent, where the product's Celery says so.
    """

    id: str
    raw: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    context: Mapping[str, Any]
    eta_ms: int
    expires: datetime | None
    traceparent: str = ""

    @property
    def continuation(self) -> str:
        """JSON for the record; empty where the sender wants nothing, not even the result."""
        if self.context.get("ignore_result") and not any(self.context.get(name) for name in _EMBEDDED):
            return ""
        return json.dumps(self.context, separators=(",", ":"))

    def refusal(self, state: Literal["FAILURE", "REVOKED"], reason: str) -> str:
        """Return what is kept to tell of a task that became no job; empty where nobody wants to know."""
        return refusal(self.context, state, reason) if self.continuation else ""

    def task(self) -> ProductTask:
        """Return it as a task whose job can be recorded.

        Raises:
            InvalidRequest: it asks for nothing that can be done.
        """
        continuation = self.continuation
        if len(continuation) > MAX_CONTINUATION_BYTES:
            raise InvalidRequest(
                f"what comes after this task has {len(continuation)} bytes; {MAX_CONTINUATION_BYTES} can be kept: let a"
                " short task after it begin the rest"
            )
        fields = {**_taken_in(self.args, self.kwargs), **self.kwargs}
        # So that the same message twice is the same job.
        own = self.id if is_business_id(f"celery-{self.id}") else self.id.encode().hex()
        fields.setdefault("business_task_id", f"celery-{own}")
        if self.expires:
            given = parse_request(fields).expires_at
            fields["expires_at"] = min(given, self.expires) if given else self.expires
        return ProductTask(self.id, parse_request(fields), continuation, self.raw, JobOrigin(self.traceparent))


def read_or_log(raw: str) -> TaskMessage | None:
    """Return a message as read; None, and a line in the log, where it can't be used."""
    try:
        return read(raw)
    except NotOurs as problem:
        logger.error("dropped from the queue %s: %s", SWAPS_QUEUE, problem)  # noqa: TRY400 - no traceback for a slip
        return None


def read(raw: str) -> TaskMessage:
    """Return a message as read.

    Raises:
        NotOurs: it can't be used; the text says why, and nothing of what it holds but the task's name and id.
    """
    try:
        message = json.loads(raw)
        headers, properties = message["headers"], message["properties"]
        name, task_id = str(headers["task"]), str(headers["id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NotOurs("a message that is none of Celery's task protocol 2") from None
    if name != SWAP_TASK:
        raise NotOurs(f"task {name[:200]!a} with the id {task_id[:200]!a}: only {SWAP_TASK} is done here")
    try:
        body = message["body"]
        if properties.get("body_encoding") == "base64":
            body = base64.b64decode(body).decode()
        args, kwargs, embedded = kombu_json.loads(body)
        context = {
            "id": task_id,
            **{name: headers[name] for name in _HEADERS if headers.get(name) is not None},
            **{name: embedded[name] for name in _EMBEDDED if embedded.get(name)},
            **{name: properties[name] for name in ("reply_to", "correlation_id") if properties.get(name)},
        }
        eta, expires = _time(headers.get("eta")), _time(headers.get("expires"))
        return TaskMessage(
            id=task_id,
            raw=raw,
            args=list(args),
            kwargs=dict(kwargs),
            context=json.loads(kombu_json.dumps(context)),
            eta_ms=int(eta.timestamp() * 1000) if eta else 0,
            expires=expires,
            traceparent=parse_traceparent(headers.get("traceparent")),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        text = f"task {SWAP_TASK} with the id {task_id[:200]!a}: its message is not JSON as Celery writes it"
        raise NotOurs(text) from None


def _taken_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the result of the task before brings.

    Raises:
        InvalidRequest: it is nothing that says what to swap.
    """
    fields: dict[str, Any] = {}
    for arg in args:
        missing = [name for name in _PICTURES if name not in kwargs and name not in fields]
        if isinstance(arg, dict):
            fields |= arg
        elif isinstance(arg, str) and len(missing) == 1:
            fields[missing[0]] = arg
        else:
            raise InvalidRequest(
                "swapjobs.swap takes its fields by name; of the task before it takes a mapping of fields, or a text"
                " where exactly one of source_url and target_url is missing (swap.si(...) takes nothing)"
            )
    return fields


def _time(text: Any) -> datetime | None:
    if not text:
        return None
    time = datetime.fromisoformat(str(text))
    return time if time.tzinfo else time.replace(tzinfo=UTC)

"""From a reply, or the lack of one, to an outcome: the one place that reads HTTP statuses and the vendor's codes.

Pure functions. What divides the outcomes of a swap call is whether the vendor may have begun to work (and to charge):

========================================================  =========================================================
finished, with a picture, whatever the code               Succeeded
finished, with another result, and code 200               Succeeded
finished, with a picture whose URL can't be used          Failed (bad_response): done and paid for, so never sent again
failed, unless the code is 401, 402, 403, 429 or 5xx      Failed (no_face, image_unreachable, swap_failed)
code 200 and another status, or no result yet             Pending
code 200, of a tool whose tasks can't be asked for        Succeeded: more will never be known
401, 403; 402 or words about quota                        AccountRefused (credentials_rejected, quota_exhausted)
429; 503 with Retry-After                                 Throttled
other 4xx                                                 Failed (rejected_by_vendor)
503; 3xx; a 404 that the vendor's program did not give    NotStarted: refused, nothing was begun
an unknown code without a task                            NotStarted (vendor_error)
other 5xx, 408; not the vendor's JSON; a lost reply       OutcomeUnknown: look it up before sending again
========================================================  =========================================================

Which `status` is finished and which failed, and where the result stands, says the tool's row (`vendor_tools`). A number
means the same as HTTP status and as `code` inside HTTP 200. A query differs in one thing: what is no answer
about the task is `OutcomeUnknown`, and only the vendor's own word makes it `TaskUnknown`. What fails before the
vendor's program (502, 503, 504, no connection, a redirect) is `vendor_wide`: no fault of this job's.

"Answered, but not to be read" is another thing than no answer: where something came back that may be the outcome,
`OutcomeUnknown` says `answered`, and the swap is not sent again, however often the look-up brings the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.output import JsonOutput, TextOutput
from swapjobs.contract.vendor_tools import reply as vendor_reply
from swapjobs.contract.vendor_tools.reply import Family
from swapworker.outbound_http import BadReply, NetError, NotSent, Reply, ResponseTooLarge, TimedOut, retry_after_s
from swapworker.vendor_client.message_texts import presentable, reason_of, speaks_of_quota
from swapworker.vendor_client.outcome import (
    AccountRefused,
    Failed,
    ListReply,
    NotStarted,
    Outcome,
    OutcomeUnknown,
    Pending,
    Succeeded,
    TaskUnknown,
    Throttled,
    result_of,
)
from swapworker.vendor_client.picture_url import as_it_came
from swapworker.vendor_client.results import outputs_in
from swapworker.vendor_client.wire import OK, Envelope, TaskData, masked, parse_envelope

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from swapjobs.contract.output import Output

_SERVER_ERROR: Final = 500
# Said by a gateway, or by a server that takes no requests at all.
_VENDOR_WIDE: Final = frozenset({"502", "503", "504"})
# Their results are URLs in fields of a name of their own: no error object looks like that.
_UNMISTAKABLE: Final = frozenset({Family.PICTURE, Family.SD_QUERY})
# Inside an HTTP error these codes say more than the status.
_TELLING_CODES: Final = frozenset({"401", "402", "403", "429"})
# Without the vendor's envelope these come from something in front of it: the wrong address, or a bad day of a proxy.
_MISROUTED: Final = frozenset({"404", "405", "410", "421"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What replies are read with: `now` is for a Retry-After with a date.

    No message quotes a string of `hide`; a picture's URL that is only a path is one of `site` (scheme and host).
    `ends_when_accepted`: there is no way to ask for the tool's tasks.
    """

    now: datetime
    reply: vendor_reply.Reply = vendor_reply.PICTURE
    hide: Collection[str] = ()
    site: str = ""
    ends_when_accepted: bool = False


def read_swap(reply: Reply, reading: Reading) -> Outcome:
    """Return what the reply to a swap call means."""
    envelope = parse_envelope(reply.body, reading.hide)
    number = _number(reply, envelope)
    end = _read_end(envelope, number, reading)
    if end is not None:
        return end
    if number == OK and reading.ends_when_accepted and envelope is not None:
        return _accepted(envelope, reading)
    if number == OK:
        return _read_task(reply, envelope, reading)
    return _read_account(reply, number, envelope, reading) or _read_refusal(number, envelope, reading)


def read_query(reply: Reply, reading: Reading, unknown_codes: Collection[str]) -> Outcome:
    """Return what the reply to a query means; `unknown_codes` say that the vendor does not know the task."""
    envelope = parse_envelope(reply.body, reading.hide)
    number = _number(reply, envelope)
    end = _read_end(envelope, number, reading)
    if end is not None:
        return end
    if number == OK and envelope is not None and envelope.says_no_data:
        return TaskUnknown()
    if number == OK:
        return _read_task(reply, envelope, reading)
    account = _read_account(reply, number, envelope, reading)
    if account is not None:
        return account
    has_task = _has_task(envelope, reading)
    if envelope is not None and envelope.code in unknown_codes and reply.status < _SERVER_ERROR and not has_task:
        return TaskUnknown()
    what = _message(number, envelope, reading)
    return OutcomeUnknown(ErrorCode.VENDOR_ERROR, what, vendor_wide=number in _VENDOR_WIDE, answered=has_task)


def read_list(reply: Reply, reading: Reading) -> ListReply:
    """Return the `data` of a reply that is a list, or what the reply says instead."""
    envelope = parse_envelope(reply.body, reading.hide)
    number = _number(reply, envelope)
    data = envelope.data if envelope is not None else None
    if number == OK and isinstance(data, dict) and isinstance(data.get(reading.reply.result), list):
        text = json.dumps(data, ensure_ascii=False)
        return ListReply(json.loads(masked(text, reading.hide)))
    if number == OK:
        return ListReply(problem="the vendor's reply is no list", result="outcome_unknown")
    outcome = _read_account(reply, number, envelope, reading) or _read_refusal(number, envelope, reading)
    pause_s = outcome.retry_after_s or 0.0 if isinstance(outcome, Throttled) else 0.0
    return ListReply(problem=_message(number, envelope, reading), pause_s=pause_s, result=result_of(outcome))


def read_swap_error(error: NetError) -> Outcome:
    """Return what it means that a swap call got no reply."""
    if isinstance(error, NotSent):
        return NotStarted(ErrorCode.VENDOR_UNREACHABLE, str(error), vendor_wide=True)
    return read_query_error(error)


def read_query_error(error: NetError) -> Outcome:
    """Return what it means that a query got no reply: never anything about the task."""
    if isinstance(error, TimedOut):
        return OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, str(error))
    if isinstance(error, ResponseTooLarge):
        # perhaps the picture itself, where its URL was expected
        return OutcomeUnknown(ErrorCode.BAD_RESPONSE, str(error), answered=_is_success(error.status))
    if isinstance(error, BadReply):
        return OutcomeUnknown(ErrorCode.BAD_RESPONSE, str(error))
    return OutcomeUnknown(ErrorCode.VENDOR_UNREACHABLE, str(error), vendor_wide=isinstance(error, NotSent))


def _number(reply: Reply, envelope: Envelope | None) -> str:
    """Return what decides: the HTTP status, or the code inside if that says more; "200" is a reply to be read."""
    code = envelope.code if envelope is not None else None
    if _is_success(reply.status):
        return code if code is not None else OK
    return code if code in _TELLING_CODES else str(reply.status)


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - HTTP


def _has_task(envelope: Envelope | None, reading: Reading) -> bool:
    return envelope is not None and envelope.task(reading.reply) is not None


def _read_end(envelope: Envelope | None, number: str, reading: Reading) -> Outcome | None:
    """Return the outcome where the vendor says that the task is done or has failed, whatever code stands around it."""
    task = envelope.task(reading.reply) if envelope is not None else None
    if envelope is None or task is None:
        return None
    # Where an error stands around it, only what can be nothing else is a result.
    if task.is_done(reading.reply) and (number == OK or reading.reply.family in _UNMISTAKABLE):
        return _read_result(task, envelope, reading)
    # Refused, or said in the middle of a bad minute: that is no last word about the task.
    if not reading.reply.says_failed(task.status) or number in _TELLING_CODES or _kind(number) == "5":
        return None
    return _read_failure(envelope, task, reading)


def _read_result(task: TaskData, envelope: Envelope, reading: Reading) -> Outcome:
    result = task.result(reading.reply)
    try:
        outputs = outputs_in(result, reading.reply, reading.site)
        return Succeeded(tuple(_without_secrets(output, reading.hide) for output in outputs), task.task_id)
    except ValueError as problem:
        words = presentable(envelope.msg or "")
        name = reading.reply.result or vendor_reply.PICTURE.result
        said = f" (the vendor said: {words})" if words and not _is_praise(words) else ""
        return Failed(
            ErrorCode.BAD_RESPONSE,
            f"the vendor has done it, but its {name} {problem}{said}; a retry asks the vendor for it again and "
            "costs nothing, the same pictures under another business_task_id are a new swap",
            raw=masked(as_it_came(_picture_in(result)), reading.hide),
        )


def _without_secrets(output: Output, hide: Collection[str]) -> Output:
    """Return an output without our credentials, should the vendor quote them; a URL stays what it is."""
    match output:
        case TextOutput(text=text):
            return TextOutput(text=masked(text, hide))
        case JsonOutput(value=value):
            text = json.dumps(value, ensure_ascii=False)
            return JsonOutput(value=json.loads(masked(text, hide))) if any(map(text.__contains__, hide)) else output
        case _:
            return output


def _picture_in(result: Any) -> Any:
    """Return of a whole reply the picture, which is what could not be used of it."""
    return result.get(vendor_reply.PICTURE.result, result) if isinstance(result, dict) else result


def _accepted(envelope: Envelope, reading: Reading) -> Outcome:
    task = envelope.task(reading.reply)
    value = envelope.data if envelope.data is not None else {"code": envelope.code, "msg": envelope.msg}
    return Succeeded((_without_secrets(JsonOutput(value=value), reading.hide),), task.task_id if task else None)


def _read_task(reply: Reply, envelope: Envelope | None, reading: Reading) -> Outcome:
    if envelope is None:
        return OutcomeUnknown(
            ErrorCode.BAD_RESPONSE, "the vendor's reply is not its JSON", answered=bool(reply.body.strip())
        )
    task = envelope.task(reading.reply)
    if task is None:
        what = "the vendor's reply does not tell of a task"
        return OutcomeUnknown(ErrorCode.BAD_RESPONSE, what, answered=not envelope.is_empty)
    return Pending(task.task_id)


def _read_failure(envelope: Envelope, task: TaskData, reading: Reading) -> Failed:
    text = task.error_message or ("" if _is_praise(envelope.msg or "") else envelope.msg or "")
    code, retryable = reason_of(" ".join([text, *task.texts]))
    said = text or next((text for text in task.texts if not _is_praise(text)), "")
    return Failed(
        code, presentable(masked(said, reading.hide)) or f"the vendor could not do it (status {task.status})", retryable
    )


def _is_praise(text: str) -> bool:
    return text.strip().lower() in {"success", "ok"}


def _kind(number: str) -> str:
    """Return the first digit of an HTTP status or a code like one, else an empty text."""
    return number[0] if re.fullmatch(r"[345]\d\d", number) else ""


def _read_account(reply: Reply, number: str, envelope: Envelope | None, reading: Reading) -> Outcome | None:
    """Return the outcome of a reply that is about our account or our speed, not about the task."""
    text = envelope.words if envelope is not None else ""
    if number in {"429", "503"}:
        wait_s = retry_after_s(reply.headers, reading.now)
        if number == "429" or wait_s is not None:
            return Throttled(_message(number, envelope, reading), wait_s, vendor_wide=number == "503")
    if number == "402" or speaks_of_quota(text):
        return AccountRefused(ErrorCode.QUOTA_EXHAUSTED, _message(number, envelope, reading))
    if number in {"401", "403"}:
        return AccountRefused(ErrorCode.CREDENTIALS_REJECTED, _message(number, envelope, reading))
    return None


def _read_refusal(number: str, envelope: Envelope | None, reading: Reading) -> Outcome:
    """Return the outcome of a swap call that was answered with anything but "200"."""
    message = _message(number, envelope, reading)
    kind = _kind(number)
    if kind == "3":
        return NotStarted(
            ErrorCode.BAD_RESPONSE, f"{message}: a redirect; is SWAPJOBS_API_URL right?", vendor_wide=True
        )
    if number in _MISROUTED and not (envelope is not None and envelope.is_vendors):
        what = f"{message}, not from the vendor's program; is SWAPJOBS_API_URL right?"
        return NotStarted(ErrorCode.BAD_RESPONSE, what, vendor_wide=True)
    if kind == "4" and number != "408":
        return Failed(ErrorCode.REJECTED_BY_VENDOR, message)
    has_task = _has_task(envelope, reading)
    if number == "408" or has_task or (kind == "5" and number != "503"):  # whatever it says: perhaps there is a task
        return OutcomeUnknown(ErrorCode.VENDOR_ERROR, message, vendor_wide=number in _VENDOR_WIDE, answered=has_task)
    return NotStarted(ErrorCode.VENDOR_ERROR, message, vendor_wide=number in _VENDOR_WIDE)


def _message(number: str, envelope: Envelope | None, reading: Reading) -> str:
    text = presentable(masked(envelope.words, reading.hide)) if envelope is not None else ""
    return f"the vendor answered {presentable(number)}" + (f": {text}" if text else "")

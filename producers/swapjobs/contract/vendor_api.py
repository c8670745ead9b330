"""The vendor's API as a server speaks it: paths, headers, bodies in, envelopes out. Pure.

Written from the vendor's pages, for the gateway's vendor-compatible door and for the sandbox. The worker's client reads
the vendor with models of its own (`swapworker/vendor_client/wire.py`): a mistake on one side is seen by the other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.fetched_urls import MAX_URL_LENGTH
from swapjobs.contract.frozen import DEFERRED
from swapjobs.contract.job import Job, is_business_id
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.output import ImageOutput, JsonOutput, TextOutput
from swapjobs.contract.request import JobRequest, Request, as_stored
from swapjobs.contract.vendor_tools.reply import Family
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.wrong_values import what_is_wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swapjobs.contract.output import Output
    from swapjobs.contract.vendor_tools.reply import Reply
    from swapjobs.contract.vendor_tools.tool import Tool
    from swapjobs.contract.vendor_tools.tool_input import ToolInput

Value = TypeVar("Value")

KEY_ID_HEADER: Final = "X-Request-req-accessKeyId"
KEY_SECRET_HEADER: Final = "X-Request-req-accessKeySecret"  # noqa: S105 - a name, not a secret
ORIGINAL_ID: Final = "businessTaskId"
"""Where the metadata of a job keep a caller's id that is no `business_task_id` of ours."""

_HASHED_ID: Final = re.compile(r"vendor-id-[0-9a-f]{48}")
_LONGEST_ID: Final = 256
_FAILED: Final = 4  # of the sd query: any number that no page and no client knows


class Status(IntEnum):
    """How a task stands; the numbers are those of the swap tools, which the vendor documents as 1 and 2."""

    PENDING = 0
    SUCCESS = 1
    FAILURE = 2


class BadBody(Exception):
    """A body that is refused with code "400"; the text is the `msg`."""


@dataclass(frozen=True, slots=True)
class CallBody:
    """What a call of a tool carries: the caller's id, what the tool takes, where the end is to be told."""

    caller_id: str
    input: ToolInput
    callback_url: str | None = None


Text = Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)]
_OBJECT: Final = TypeAdapter(dict[str, JsonValue], config=DEFERRED)
_ID: Final = TypeAdapter(Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)], config=DEFERRED)
_CALLBACK: Final = TypeAdapter(Text | None, config=DEFERRED)


def read_call(tool: Tool, raw: bytes) -> CallBody:
    """Return what the body of a call says. Fields that the vendor does not document are ignored.

    Raises:
        BadBody: it is no JSON object, or a field is missing or wrong.
    """
    body = _checked(_OBJECT, raw)
    caller_id = _checked(_ID, tool.id_in(body), ".".join(tool.id_path)) if tool.is_task else ""
    callback_url = _checked(_CALLBACK, body.get("callbackUrl"), "callbackUrl")
    try:
        return CallBody(caller_id, tool.input.from_body(_without_own(tool, body)), callback_url)
    except ValidationError as error:
        raise BadBody(_first_problem(error)) from None
    except ValueError as error:
        raise BadBody(str(error)) from None


def read_query(raw: bytes) -> str:
    """Return whose task a query asks for: the caller's id.

    Raises:
        BadBody: it is no JSON object, or does not say.
    """
    return _checked(_ID, _checked(_OBJECT, raw).get("businessTaskId"), "businessTaskId")


def _without_own(tool: Tool, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body without what is not the tool's: the caller's id, unless it stands deeper, and the callback."""
    own = {"callbackUrl", *(tool.id_path if len(tool.id_path) == 1 else ())}
    return {name: value for name, value in body.items() if name not in own}


def _checked(kind: TypeAdapter[Value], value: Any, name: str = "") -> Value:
    try:
        return kind.validate_json(value) if isinstance(value, bytes) else kind.validate_python(value)
    except ValidationError as error:
        raise BadBody(_first_problem(error, name)) from None


def _first_problem(error: ValidationError, name: str = "") -> str:
    first = error.errors(include_url=False)[0]
    where = name or ".".join(str(part) for part in first["loc"])[:100]
    text = what_is_wrong(first)
    return f"{where}: {text}" if where else text


def envelope(code: str, msg: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what every answer is: `code` is a string, "200" is the success of the call, not of the swap."""
    return {"code": code, "msg": msg, "data": data}


def task_data(
    tool: Tool,
    task_id: str,
    status: Status,
    outputs: Sequence[Output] = (),
    *,
    caller_id: str = "",
    message: str = "",
    is_query: bool,
    path: str = "",
) -> dict[str, Any]:
    """Return `data` of a task as the tool's direct reply has it, or (`is_query`) as the answer to its query.

    Only a success has a result. `path` is the query's, of which there may be two.
    """
    reply = tool.query.reply if is_query and tool.query else tool.reply
    if reply.family is Family.SD_QUERY:
        return _sd_data(path, status, outputs, caller_id, message)
    if reply.family is Family.ACKNOWLEDGED and not is_query:
        return {"task_id": task_id}
    named = {"businessTaskId": caller_id} if is_query or tool.echoes_id else {}
    number = reply.finished[0] if status is Status.SUCCESS and reply.finished else int(status)
    if reply.family is Family.ACKNOWLEDGED:
        return {**_whole(outputs), "task_id": task_id, "status": number, **named}
    result = {reply.result: _result(reply, outputs)} if status is Status.SUCCESS else {}
    return {"taskId": task_id, "toolTask": tool.name, "status": number, **result, **named}


def _result(reply: Reply, outputs: Sequence[Output]) -> Any:
    """Return a picture's URL, a text, or a list where the vendor's page shows one."""
    if reply.family is Family.PICTURE:
        return next((output.url for output in outputs if isinstance(output, ImageOutput)), None)
    texts = [output.text for output in outputs if isinstance(output, TextOutput)]
    return texts if reply.is_list else "\n".join(texts)


def _whole(outputs: Sequence[Output]) -> dict[str, Any]:
    """Return a result of no documented shape: pictures under the name that they have elsewhere, the rest as it is."""
    data: dict[str, Any] = {}
    for output in outputs:
        if isinstance(output, JsonOutput):
            data |= output.value if isinstance(output.value, dict) else {"result": output.value}
        elif isinstance(output, TextOutput):
            data["text"] = output.text
    pictures = [output.url for output in outputs if isinstance(output, ImageOutput)]
    return {**data, "outputImageUrl": pictures if len(pictures) > 1 else pictures[0]} if pictures else data


def _sd_data(path: str, status: Status, outputs: Sequence[Output], caller_id: str, message: str) -> dict[str, Any]:
    number = {Status.PENDING: 1, Status.SUCCESS: 2, Status.FAILURE: _FAILED}[status]
    rows = [
        {
            "img_audit": output.audit or [],
            "img_audit_status": output.audit_passed,
            "image_status": 1,
            "image_url": output.url,
            "seed": output.seed,
        }
        for output in outputs
        if isinstance(output, ImageOutput)
    ]
    desc = message if status is Status.FAILURE else {Status.SUCCESS: "success"}.get(status, "processing")
    data = {"status": number, "desc": desc, "differentialImageRspList": rows if status is Status.SUCCESS else []}
    return (
        {"id_task": caller_id, "temporaryImageDto": None, **data} if "/v2/" in path else {"task_id": caller_id, **data}
    )


def request_of(tool: Tool, body: CallBody, tenant: str) -> Request:
    """Return what a vendor's body asks of us.

    Raises:
        BadBody: a field is not valid, told by the vendor's name for it.
    """
    business_id = business_id_of(body.caller_id)
    extra: dict[str, Any] = {}
    if business_id != body.caller_id:
        extra["metadata"] = {ORIGINAL_ID: body.caller_id}
    if body.callback_url is not None:
        extra |= {"callback_url": body.callback_url, "callback_style": "vendor"}
    asked = {"tool": tool.name, "tenant": tenant, "business_task_id": business_id, "input": body.input, **extra}
    try:
        return as_stored(JobRequest.parse(asked))
    except InvalidRequest as error:
        raise BadBody(str(error).replace("callback_url", "callbackUrl")) from None


def business_id_of(caller_id: str) -> str:
    """Return the `business_task_id` for a caller's id, another one for each.

    It is the same where ours may be so; else a hash: the vendor's pages know no limit.
    """
    if is_business_id(caller_id) and not _HASHED_ID.fullmatch(caller_id):
        return caller_id
    return "vendor-id-" + hashlib.blake2b(caller_id.encode(errors="surrogatepass"), digest_size=24).hexdigest()


def caller_id_of(job: Job) -> str:
    """Return the id that the job's caller gave it."""
    original = job.metadata.get(ORIGINAL_ID)
    # metadata are anybody's: only what leads to this very job is its id
    if isinstance(original, str) and business_id_of(original) == job.business_task_id:
        return original
    return job.business_task_id


def vendor_envelope(job: Job, *, is_query: bool = True, path: str = "") -> dict[str, Any]:
    """Return how the job stands, in the vendor's words: a direct reply, the answer to a query, the body of a callback.

    A job that was cancelled or expired is a failure.
    """
    tool = TOOLS[job.tool]
    status = Status.SUCCESS if job.state is JobState.SUCCEEDED else Status.FAILURE
    outputs, msg = job.outputs, "success"
    if job.state not in FINAL:
        status, outputs, msg = Status.PENDING, (), "processing"
    elif status is Status.FAILURE:
        outputs, msg = (), job.error.message if job.error else f"the job was {job.state}"
    if not is_query and not tool.answers_at_once:
        msg = "success"
    names = {"caller_id": caller_id_of(job), "message": msg, "path": path}
    return envelope("200", msg, task_data(tool, job.id, status, outputs, is_query=is_query, **names))

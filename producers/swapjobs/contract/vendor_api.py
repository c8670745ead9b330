"""The vendor's API as a server speaks it: paths, headers, bodies in, envelopes out. Pure.

Written from the vendor's pages, for the gateway's vendor-compatible door and for the sandbox. The worker's client reads
the vendor with models of its own (`swapworker/vendor_client/wire.py`): a mistake on one side is seen by the other.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.job import Job, SwapRequest, is_business_id
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.vendor_tools import MAX_URL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "/AIGCImgOpenServ/saas/tool"
KEY_ID_HEADER: Final = "X-Request-req-accessKeyId"
KEY_SECRET_HEADER: Final = "X-Request-req-accessKeySecret"  # noqa: S105 - a name, not a secret
ORIGINAL_ID: Final = "businessTaskId"
"""Where the metadata of a job keep a caller's id that is no `business_task_id` of ours."""

_MAX_TEXT: Final = MAX_URL_LENGTH
_MAX_INT: Final = 2**31 - 1
_HASHED_ID: Final = re.compile(r"vendor-id-[0-9a-f]{48}")
# Our names, as they stand in the messages of `InvalidRequest`, and what the vendor calls them.
_THEIR_NAMES: Final = {
    **{name: to_camel(name) for name in ("source_url", "target_url", "fidelity_weight", "face_idx", "callback_url")},
    "second_source_url": "sourceUrl.1",
}
_OUR_NAME: Final = re.compile(rf"\b({'|'.join(_THEIR_NAMES)})\b")


class Status(IntEnum):
    """`data.status` on the wire; the vendor documents 1 and 2, anything else means: not finished."""

    PENDING = 0
    SUCCESS = 1
    FAILURE = 2


def _weight(text: str) -> str:
    try:
        inside = 0 <= float(text) <= 1
    except ValueError:
        inside = False
    if not inside:
        raise ValueError("must be a string with a number from 0 to 1")
    return text


Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]


class QueryBody(BaseModel):
    """What every call carries, and all that a query does. Fields the vendor does not document are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    business_task_id: Annotated[str, Field(min_length=1, max_length=256)]


class SwapBody(QueryBody):
    """What the tools have in common; the properties are what every tool's body comes down to."""

    source_url: Any
    target_url: Text
    callback_url: Text | None = Field(None, description="documented for Multiple Face Swap only")

    @property
    def source_urls(self) -> tuple[str, ...]:
        """The pictures that give the faces."""
        return (self.source_url,)

    @property
    def tool_fields(self) -> dict[str, Any]:
        """The tool's own fields as `SwapRequest` takes them."""
        return {}


class RoopBody(SwapBody):
    """Single Face Swap V1.0."""

    source_url: Text


class RoopV2Body(RoopBody):
    """Single Face Swap V2.0."""

    fidelity_weight: Annotated[str, AfterValidator(_weight)] | None = None

    @property
    def tool_fields(self) -> dict[str, Any]:
        """The balance of quality and fidelity."""
        return {} if self.fidelity_weight is None else {"fidelity_weight": float(self.fidelity_weight)}


class FusionBody(SwapBody):
    """Multiple Face Swap."""

    source_url: Annotated[list[Text], Field(min_length=1, max_length=2)]
    face_idx: Annotated[int, Field(ge=1, le=_MAX_INT, strict=True)] | None = None

    @property
    def source_urls(self) -> tuple[str, ...]:
        """One or two pictures."""
        return tuple(self.source_url)

    @property
    def tool_fields(self) -> dict[str, Any]:
        """The second source, and which face of the target."""
        fields = {"second_source_url": self.source_url[1] if len(self.source_url) > 1 else None}
        return {name: value for name, value in {**fields, "face_idx": self.face_idx}.items() if value is not None}


Body = TypeVar("Body", bound=QueryBody)

BODIES: Final[Mapping[str, type[SwapBody]]] = {
    "roop": RoopBody,
    "v2/roop": RoopV2Body,
    "face/fusion": FusionBody,
}
"""The tools by their code, each with the body that it takes."""


class BadBody(Exception):
    """A body that is refused with code "400"; the text is the `msg`."""


def read_body(body_type: type[Body], raw: bytes) -> Body:
    """Return the body.

    Raises:
        BadBody: it is no JSON object, or a field is missing or wrong.
    """
    try:
        return body_type.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadBody(f"{where}: {first['msg']}" if where else f"{first['msg']}") from None


def envelope(code: str, msg: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what every answer is: `code` is a string, "200" is the success of the call, not of the swap."""
    return {"code": code, "msg": msg, "data": data}


def task_data(
    task_id: str, tool: str, status: Status, *, output_url: str | None = None, business_id: str | None = None
) -> dict[str, Any]:
    """Return `data` of a task. Only a success has `outputImageUrl`; not every reply has `businessTaskId`."""
    data: dict[str, Any] = {"taskId": task_id, "toolTask": tool, "status": int(status)}
    if output_url:
        data["outputImageUrl"] = output_url
    if business_id is not None:
        data["businessTaskId"] = business_id
    return data


def request_of(tool: str, body: SwapBody, tenant: str) -> SwapRequest:
    """Return what a vendor's body asks of us.

    Raises:
        BadBody: a field is not valid, told by the vendor's name for it.
    """
    business_id = business_id_of(body.business_task_id)
    extra: dict[str, Any] = {}
    if business_id != body.business_task_id:
        extra["metadata"] = {ORIGINAL_ID: body.business_task_id}
    if body.callback_url is not None:
        extra |= {"callback_url": body.callback_url, "callback_style": "vendor"}
    try:
        return SwapRequest.parse(
            {
                "tool": tool,
                "tenant": tenant,
                "business_task_id": business_id,
                "source_url": body.source_urls[0],
                "target_url": body.target_url,
                **body.tool_fields,
                **extra,
            }
        )
    except InvalidRequest as error:
        raise BadBody(_OUR_NAME.sub(lambda match: _THEIR_NAMES[match[0]], str(error))) from None


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


def vendor_envelope(job: Job, *, with_business_id: bool = True) -> dict[str, Any]:
    """Return how the job stands, in the vendor's words: a direct reply, the answer to a query, the body of a callback.

    The direct reply of Single Face Swap V1.0 has no `businessTaskId`. A job that was cancelled or expired is a failure.
    """
    status = Status.SUCCESS if job.state is JobState.SUCCEEDED else Status.FAILURE
    output_url, msg = job.output_url, "success"
    if job.state not in FINAL:
        status, output_url, msg = Status.PENDING, None, "processing"
    elif status is Status.FAILURE:
        output_url, msg = None, job.error.message if job.error else f"the job was {job.state}"
    business_id = caller_id_of(job) if with_business_id else None
    data = task_data(job.id, job.tool, status, output_url=output_url, business_id=business_id)
    return envelope("200", msg, data)

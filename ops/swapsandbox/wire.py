"""The vendor's wire format: request bodies in, envelopes out.

Written from the vendor's pages and not shared with the worker, so that a mistake in the one is seen by the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse

from swapsandbox.records import Outcome, Status, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "/AIGCImgOpenServ/saas/tool"
KEY_ID_HEADER: Final = "X-Request-req-accessKeyId"
KEY_SECRET_HEADER: Final = "X-Request-req-accessKeySecret"  # noqa: S105 - a name, not a secret
_MAX_TEXT: Final = 2048


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
    """Single Face Swap V1.0; the properties are what every tool's body comes down to."""

    source_url: Any
    target_url: Text

    @property
    def source_urls(self) -> tuple[str, ...]:
        """The pictures that give the faces."""
        return (self.source_url,)

    @property
    def face_index(self) -> int | None:
        """Which face of the target is replaced, 1-based from the left; None leaves it to the swap."""
        return None

    @property
    def fidelity(self) -> float:
        """The balance of quality (0) and fidelity (1); a tool without this setting leaves the skin as it is."""
        return 1.0


class RoopBody(SwapBody):
    """Single Face Swap V1.0."""

    source_url: Text


class RoopV2Body(RoopBody):
    """Single Face Swap V2.0."""

    fidelity_weight: Annotated[str, AfterValidator(_weight)] = "0.5"

    @property
    def fidelity(self) -> float:
        """The weight as a number."""
        return float(self.fidelity_weight)


class FusionBody(SwapBody):
    """Multiple Face Swap. The sandbox makes no vendor callbacks: `callbackUrl` is accepted and ignored."""

    source_url: Annotated[list[Text], Field(min_length=1, max_length=2)]
    face_idx: Annotated[int, Field(ge=1, strict=True)] | None = None
    callback_url: Text | None = None

    @property
    def source_urls(self) -> tuple[str, ...]:
        """One or two pictures."""
        return tuple(self.source_url)

    @property
    def face_index(self) -> int | None:
        """The vendor's `faceIdx`; what it would mean with two sources is not documented: nothing here."""
        return self.face_idx if len(self.source_url) == 1 else None


Body = TypeVar("Body", bound=QueryBody)

BODIES: Final[Mapping[str, type[SwapBody]]] = {
    "roop": RoopBody,
    "v2/roop": RoopV2Body,
    "face/fusion": FusionBody,
}
"""The tools by their code, each with the body that it takes."""


class BadBody(Exception):
    """A body that the vendor refuses with code "400"; the text is its `msg`."""


def read_body(body_type: type[Body], raw: bytes) -> Body:
    """Return the body.

    Raises:
        BadBody: it is no JSON object, or a field is missing or wrong.
    """
    try:
        return body_type.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadBody(f"{where}: {first['msg']}" if where else f"{first['msg']}") from None


def envelope(
    code: str,
    msg: str,
    data: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer every call gets: `code` is a string, "200" is the success of the call, not of the swap."""
    return JSONResponse({"code": code, "msg": msg, "data": data}, status, headers)


def task_answer(task: Task, outcome: Outcome | None, *, with_business_id: bool = False) -> JSONResponse:
    """Return a task's state: final with its outcome, else pending.

    Only a success has `outputImageUrl`. `businessTaskId` is added where the vendor's sibling endpoints have it.
    """
    status = Status.PENDING if outcome is None else outcome.status
    data: dict[str, Any] = {"taskId": task.vendor_id, "toolTask": task.tool, "status": int(status)}
    if outcome and outcome.output_url:
        data["outputImageUrl"] = outcome.output_url
    if with_business_id:
        data["businessTaskId"] = task.business_id
    return envelope("200", outcome.message if outcome else "processing", data)

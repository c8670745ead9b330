"""What a gateway answers: models of ours, or problems (RFC 9457), which become the exceptions of `errors.py`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from swapjobs.contract.errors import (
    AccessDenied,
    InvalidRequest,
    JobNotFound,
    QueueUnavailable,
    SwapjobsError,
    TooManyRequests,
)
from swapjobs.contract.frozen import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

_Model = TypeVar("_Model", bound=BaseModel)
_LONGEST_TEXT: Final = 500


class Reply(Model):
    """An answer that is not a model of its own; a later gateway may tell more."""


def place(folder: str, id_: str, missing: type[JobNotFound] = JobNotFound) -> str:
    """Return the path of one thing; ids that can't be one's own never become another path.

    Raises:
        JobNotFound: or `missing`, for such an id.
    """
    if not id_.isascii() or not id_.isprintable() or id_ in {"", ".", ".."} or "/" in id_:
        raise missing(f"nothing in {folder} has the id {id_!a}")
    return f"{folder}/{quote(id_, safe='')}"


def read(answer: httpx.Response, model: type[_Model]) -> _Model:
    """Return the answer's body as `model`.

    Raises:
        QueueUnavailable: it is not one.
    """
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise QueueUnavailable(
            f"{answer.url.copy_with(query=None)} answered {answer.status_code} without a {model.__name__}: is this the"
            " gateway's address, and is it of the same version?"
        ) from None


def _kinds(kind: type[SwapjobsError]) -> Iterator[type[SwapjobsError]]:
    yield kind
    for item in kind.__subclasses__():
        yield from _kinds(item)


def ours(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem (RFC 9457) that a gateway told; nothing if the answer is somebody else's."""
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) and isinstance(problem.get("code"), str) else {}


def problem_of(answer: httpx.Response) -> SwapjobsError:
    """Return the exception that a refusal means: by its code, or by its status where something else answered."""
    problem, status = ours(answer), answer.status_code
    text = str(problem.get("detail") or problem.get("title") or "")[:_LONGEST_TEXT]
    kind = {item.code: item for item in _kinds(SwapjobsError)}.get(problem.get("code", ""))
    if kind is None and status == httpx.codes.TOO_MANY_REQUESTS:
        kind = TooManyRequests
    if kind is None and status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        kind = AccessDenied
    if kind is None and problem and answer.is_client_error:
        kind = InvalidRequest
    if kind is None:
        where = answer.url.copy_with(query=None)
        doubt = text or "is this the gateway's address?"
        return QueueUnavailable(f"{where} answered {status} {answer.reason_phrase}: {doubt}")
    if kind is TooManyRequests:
        return TooManyRequests(text, retry_after_s=retry_after_s(answer))
    extra = {"invalid_request": "field", "idempotency_conflict": "job_id"}.get(kind.code)
    return kind(text, **{extra: problem.get(extra)}) if extra else kind(text)


def retry_after_s(answer: httpx.Response) -> float | None:
    """Return the seconds that a `Retry-After` asks for; a gateway gives no dates."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"\d{1,6}", value) else None

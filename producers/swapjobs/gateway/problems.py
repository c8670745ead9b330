"""Every error as RFC 9457 `application/problem+json`: one table from our codes to HTTP statuses."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from swapjobs.contract.errors import IdempotencyConflict, InvalidRequest, SwapjobsError, TooManyRequests
from swapjobs.contract.frozen import Model
from swapjobs.contract.wrong_values import what_is_wrong
from swapjobs.store.redis_client import RedisError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

STATUSES: Final = {
    "invalid_request": 422,
    "idempotency_conflict": 422,
    "access_denied": 401,
    "scope_missing": 403,
    "job_not_found": 404,
    "batch_not_found": 404,
    "endpoint_not_found": 404,
    "operation_not_found": 404,
    "delivery_not_found": 404,
    "job_gone": 410,
    "not_retryable": 409,
    "not_finished": 409,
    "batch_closed": 409,
    "too_many_requests": 429,
    "queue_full": 429,
    "queue_unavailable": 503,
    "vendor_unavailable": 502,
    "invalid_settings": 501,  # what the operator has not set up
}
# What HTTP itself refuses, before any code of ours is asked.
_CODES: Final = {
    400: "malformed_request",
    401: "access_denied",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
GONE: Final = 499  # in the log: the client went away before there was an answer
_RETRY_AFTER_S: Final = {"queue_full": 30, "queue_unavailable": 5, "too_many_requests": 1}


class Problem(Model):
    """What went wrong (RFC 9457). `code` is stable; `field` names the part of the request that is not right.

    `job_id` is the job that has the business_task_id which was used before.
    """

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Entity"])
    status: int
    code: str
    detail: str
    field: str | None = None
    job_id: str | None = None


class HttpProblem(Exception):
    """A request that HTTP's own rules refuse, with the status to answer."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, code: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field
        self.code = code or _CODES.get(status, "invalid_request")
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    job_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer for one problem."""
    result = Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, field=field, job_id=job_id
    )
    body = result.model_dump(exclude_none=True)
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


def of_error(error: SwapjobsError) -> JSONResponse:
    """Return the answer for an exception of ours."""
    status = STATUSES.get(error.code, 500)
    headers = {}
    if error.code in _RETRY_AFTER_S:
        wanted = error.retry_after_s if isinstance(error, TooManyRequests) else None
        headers["Retry-After"] = str(max(1, round(wanted or _RETRY_AFTER_S[error.code])))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="swapjobs"'
    field = error.field if isinstance(error, InvalidRequest) else None
    job_id = error.job_id if isinstance(error, IdempotencyConflict) else None
    return problem(status, error.code, public(error), field=field, job_id=job_id, headers=headers)


def public(error: SwapjobsError) -> str:
    """Return the text for a caller: without what Redis' client says, which has its address (the doctor tells it)."""
    text = str(error)
    return text.partition(": ")[0] if isinstance(error.__cause__, RedisError) else text


def install(app: FastAPI) -> None:
    """Let the app answer every error this way."""
    app.add_exception_handler(SwapjobsError, _ours)
    app.add_exception_handler(HttpProblem, _http_problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_: Request, error: Any) -> JSONResponse:
    return of_error(error)


async def _gone(_: Request, _error: Any) -> Response:
    """Answer to nobody, so that nobody's going away is a fault in the access log."""
    return Response(status_code=GONE)


async def _http_problem(_: Request, error: Any) -> JSONResponse:
    return problem(error.status, error.code, error.detail, field=error.field, headers=error.headers)


async def _http(request: Request, error: Any) -> JSONResponse:
    texts: dict[int, str] = {
        404: f"there is nothing at {request.url.path!a}",
        405: f"{request.method} is not allowed here; see Allow",
        413: "the body is larger than this route takes",
    }
    detail = texts.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return problem(error.status_code, _CODES.get(error.status_code, "invalid_request"), detail, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes at this path; Starlette names those of the first one only."""
    methods: set[str] = set()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            methods.add(method)
    return sorted(methods)


async def _validation(_: Request, error: Any) -> JSONResponse:
    """Answer for a part of a request that is not as the route wants it; never with the value, which may be secret."""
    first = error.errors()[0]
    where, *names = [str(part) for part in first["loc"]]
    field = ".".join(names) or where
    return problem(422, "invalid_request", f"{field}: {what_is_wrong(first)}", field=field)


async def _unexpected(_: Request, __: Any) -> JSONResponse:
    """Answer for an error of ours; middleware.py writes it into the log."""
    return problem(500, "internal", "something went wrong in the gateway; its log has it under this X-Request-Id")

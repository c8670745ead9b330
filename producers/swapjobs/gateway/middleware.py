"""Around every request, outside of all else: its id, the access log, security headers, and our own errors."""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from swapjobs import logs, tracing
from swapjobs.gateway import long_answer
from swapjobs.gateway.problems import GONE, problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger: Final = logging.getLogger("swapjobs.gateway")
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds: told of at debug, while well
_ERROR: Final = 400
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FRAMES: Final = 8
_REQUEST_ID: Final = b"x-request-id"
_MARK: Final = b"swapjobs-request"
_SECURITY: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Edge:
    """ASGI middleware. A header that a route sets itself stays as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        with tracing.coming_from(answer.origin):
            await self._serve(scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        began = time.perf_counter()
        try:
            # A copy: what the layers below put into it is not kept for as long as a long answer takes.
            await self._app({**scope}, receive, answer.send)
            await long_answer.finish(scope, receive, answer.send)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends here, in one line of the log
            # FastAPI has answered already (problems.py), and passes the error on
            facts = {"request_id": answer.request_id, "error": type(error).__name__, "at": _places(error)}
            logs.event(_logger, "error", level=logging.ERROR, **facts)
        finally:
            await long_answer.close(scope)
            _log(scope, answer, time.perf_counter() - began)


class _Answer:
    """The way of an answer to the client."""

    __slots__ = ("_mark", "_replaced", "_scope", "_send", "_state", "origin", "request_id", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        named = given if _ID.fullmatch(given) else ""
        # A name of our own tells nobody more than the job's id does: only the caller's is kept with the job.
        self.origin = tracing.JobOrigin(tracing.parse_traceparent(headers.get("traceparent")), named)
        self.request_id = named or secrets.token_hex(8)
        # A client's own mark, by which it knows its answer: proxies overwrite X-Request-Id, and leave this alone.
        mark = headers.get("swapjobs-request", "")
        self._mark = mark if _ID.fullmatch(mark) else ""
        self.status = 0
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self.request_id
        self._scope, self._send = scope, send
        self._replaced = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            if message["status"] == 413 and _is_plain_text(message):  # noqa: PLR2004
                self._replaced = True  # Starlette's own word on a body whose Content-Length is too large
                await problem(413, "body_too_large", "the body is larger than this route takes")(
                    self._scope, _nothing, self.send
                )
                return
            self.status = message["status"]
            message["headers"] = self._with_own(message.get("headers", ()))
        elif self._replaced and message.get("body") == b"Content Too Large":
            return
        await self._send(message)

    def _with_own(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        own = [(_REQUEST_ID, self.request_id.encode())]
        if self._mark:
            own.append((_MARK, self._mark.encode()))
        replaced = {name for name, _ in own}
        headers = [*(header for header in given if header[0] not in replaced), *own]
        names = {name for name, _ in headers}
        headers += [header for header in _SECURITY if header[0] not in names]
        for name, value in self._state.get("headers", {}).items():
            raw = name.lower().encode()
            if raw not in names:
                headers.append((raw, value.encode("latin-1")))
        return headers


def _is_plain_text(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/plain")


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _log(scope: Scope, answer: _Answer, seconds: float) -> None:
    """Write a request's line. Without the query, which may hold what is nobody's business."""
    state = scope["state"]
    caller, status = state.get("caller"), answer.status or GONE
    is_quiet = scope["path"] in _PROBES and status < _ERROR
    logs.event(
        _logger,
        "request",
        level=logging.DEBUG if is_quiet else logging.INFO,
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
        tenant=caller.tenant if caller else None,
        key=(caller.key_id or None) if caller else None,
        job=state.get("job_id"),
        request_id=answer.request_id,
        trace_id=tracing.trace_id_of(tracing.current()),
    )


def _places(error: Exception) -> list[str]:
    """Return where in the code it happened; no values, which may be secrets."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]

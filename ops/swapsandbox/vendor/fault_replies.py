"""The answers of the faults, and how a connection is reset from inside an ASGI application."""

from __future__ import annotations

import socket
import struct
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from swapsandbox.vendor.answers import envelope
from swapsandbox.vendor.faults import Fault, FaultName

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

_TRANSPORT: Final = "transport"
_PAGE: Final = "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"
_NO_PICTURE: Final = {"taskId": "1", "status": 1, "outputImageUrl": "ftp://nowhere/picture.png"}
_HALF_JSON: Final = b'{"code": "200", "msg": "success", "data": {"taskId": "11'


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the connection's transport in `scope["state"]` for `Reset` to find."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Keep the transport; uvicorn copies `app_state` into the scope of each request on this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class Reset(Response):
    """No answer: the client sees "connection reset by peer". Works only under `ResettableProtocol`."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Cut the connection and return once the server has noticed, so that it does not answer 500."""
        transport: asyncio.Transport = scope["state"][_TRANSPORT]
        if not transport.is_closing():
            connection = transport.get_extra_info("socket")
            # Without this a close is orderly (FIN); with a linger time of zero the kernel sends RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def fault_reply(fault: Fault) -> Response:
    """Return what the caller gets instead of the outcome of the work.

    Raises:
        KeyError: the fault has no reply of its own (see `Fault.replaces_reply`).
    """
    return _REPLIES[fault.name](fault)


def throttled(wait_s: float) -> Response:
    """Return the sandbox's own HTTP 429, with Retry-After in whole seconds, rounded up."""
    seconds = max(1, -int(-wait_s // 1))
    return envelope("429", "too many requests", status=429, headers={"Retry-After": str(seconds)})


def _unavailable(fault: Fault) -> Response:
    return PlainTextResponse("503 Service Unavailable", 503, _retry_after(fault))


def _too_many(fault: Fault) -> Response:
    return envelope("429", "too many requests", status=429, headers=_retry_after(fault))


def _retry_after(fault: Fault) -> Mapping[str, str]:
    if fault.retry_after is None:
        return {}
    if fault.form == "date":
        moment = datetime.now(UTC) + timedelta(seconds=fault.retry_after)
        return {"Retry-After": format_datetime(moment, usegmt=True)}
    return {"Retry-After": str(fault.retry_after)}


_REPLIES: Final[Mapping[FaultName, Callable[[Fault], Response]]] = {
    FaultName.HTTP_503: _unavailable,
    FaultName.QUERY_DOWN: _unavailable,
    FaultName.HTTP_500: lambda _: PlainTextResponse("500 Internal Server Error", 500),
    FaultName.HTTP_401: lambda _: envelope("401", "access key refused", status=401),
    FaultName.HTTP_429: _too_many,
    FaultName.HTTP_429_BARE: _too_many,
    FaultName.CODE_429: lambda _: envelope("429", "too many requests"),
    FaultName.CODE_500: lambda _: envelope("500", "internal error"),
    FaultName.CODE_401: lambda _: envelope("401", "access key refused"),
    FaultName.BAD_JSON: lambda _: Response(_HALF_JSON, media_type="application/json"),
    FaultName.HTML: lambda _: HTMLResponse(_PAGE),
    FaultName.HANG: lambda _: Reset(),
    FaultName.RESET_BEFORE: lambda _: Reset(),
    FaultName.LOST_REPLY: lambda _: Reset(),
    FaultName.UNUSABLE_URL: lambda _: envelope("200", "success", _NO_PICTURE),
}

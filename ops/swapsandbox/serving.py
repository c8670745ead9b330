"""Running one of the kit's servers in the foreground: loopback only, one line when ready, a quiet end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.responses import JSONResponse, Response

from swapjobs import tether
from swapjobs.contract.listening import cannot_listen
from swapjobs.contract.urls import is_loopback
from swapjobs.gateway.listener import ReadyServer, listen
from swapsandbox.vendor.fault_replies import ResettableProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

_GRACE_S: Final = 3
_BACKLOG: Final = 2048


class RemoteHostRefused(ValueError):
    """The server would listen beyond this machine, and nobody said that it may."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"refusing to listen on {host}: the sandbox has no access control and fetches any URL it is given; "
            "use a loopback address, or --allow-remote if the network is yours"
        )


class PortUnavailable(OSError):
    """The address can't be listened on."""


def check_host(host: str, *, allow_remote: bool) -> None:
    """Pass loopback hosts, and any other only if that was allowed.

    Raises:
        RemoteHostRefused: the host is another one, or a name that may mean another one.
    """
    if not allow_remote and not is_loopback(host):
        raise RemoteHostRefused(host)


async def healthz(_: Request) -> Response:
    """Say that requests are answered, and by which process: a port may belong to somebody else."""
    return JSONResponse({"status": "ok", "pid": os.getpid()})


def serve(app: ASGIApp, *, name: str, host: str, port: int, on_stop: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM; print `<name> ready on <url>` when requests are answered.

    Args:
        app: The ASGI application.
        name: How the ready line calls the server.
        host: The address to listen on (see `check_host`).
        port: 0 takes a free one; the ready line tells it.
        on_stop: Called on the event loop when the end begins, before the open connections are waited for.

    Raises:
        PortUnavailable: something else listens there, or the address is not ours.
    """
    try:
        listener = listen(host, port, _BACKLOG)
    except (OSError, OverflowError) as error:
        option = "--port (0 takes a free one)"
        raise PortUnavailable(cannot_listen(host, port, error, holder=f"another {name}", option=option)) from None
    config = uvicorn.Config(
        app,
        http=ResettableProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )
    tether.on_hangup(lambda *_: signal.raise_signal(signal.SIGTERM))
    tether.hold()
    ReadyServer(config, name, host, on_stop).serve_until_stopped(listener)

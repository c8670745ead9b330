"""Running one of the kit's servers in the foreground: loopback only, one line when ready, a quiet end."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.responses import JSONResponse, Response

from swapjobs import tether
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
    if allow_remote or host == "localhost":
        return
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
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
    listener = _listen(host, port)
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
    shown = f"[{host}]" if ":" in host else host
    server = _Server(config, f"{name} ready on http://{shown}:{listener.getsockname()[1]}", on_stop)
    # uvicorn ends in order at either signal and then raises it again, for what was there before: for both, this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tether.on_hangup(lambda *_: signal.raise_signal(signal.SIGTERM))
    tether.hold()
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run([listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only on sockets that name TCP as their protocol, which create_server does
    # not; left on, it delays every answer that is written in two parts (head and body) by some 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "it is not from 0 to 65535"
        raise PortUnavailable(f"can't listen on {host} port {port}: {reason}") from None
    return listener


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready_line: str, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready_line = ready_line
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._ready_line, flush=True)  # noqa: T201 - the one line that a person or a script waits for

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

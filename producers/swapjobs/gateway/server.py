"""Running the gateway in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from swapjobs.contract.errors import SettingsError
from swapjobs.gateway.connection_limits import Connection, connection_class

if TYPE_CHECKING:
    from fastapi import FastAPI

    from swapjobs.settings import GatewaySettings

_GRACE_S: Final = 10
_BACKLOG: Final = 512  # asyncio takes so many new connections before it looks at one
_OTHER_FILES: Final = 300  # connections to Redis, one for each thread at most, and the spools of uploads
_TICKS_S: Final = 10  # uvicorn's


def serve(app: FastAPI, host: str, port: int, settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT; print `gateway ready on <url>` when requests are answered.

    Then waits and event streams end at once, requests under way within 10 s.

    Raises:
        SettingsError: it can't listen there.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=connection_class(_room_for(settings.gateway_max_connections)),
        backlog=_BACKLOG,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    shown = f"[{host}]" if ":" in host else host
    server = _Server(
        config, app, settings.gateway_client_timeout_s, f"gateway ready on http://{shown}:{listener.getsockname()[1]}"
    )
    # uvicorn ends in order at either signal and then raises it again, for what was there before: for both, this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run([listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only on sockets that name TCP as their protocol; left on, it delays every
    # answer that is written in two parts (head and body) by some 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise SettingsError(f"can't listen on {host} port {port}: {reason}; choose another --port") from None
    return listener


def _room_for(connections: int) -> int:
    """Return how many connections may be open at once: no more than there are files for, which are asked for first.

    A process without a free file takes no connection at all, and can't ask Redis either.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _BACKLOG + _OTHER_FILES
    if now != resource.RLIM_INFINITY and now < wanted:
        now = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
    return connections if now == resource.RLIM_INFINITY else min(connections, max(now - _BACKLOG - _OTHER_FILES, 16))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: FastAPI, patience_s: float, ready_line: str) -> None:
        super().__init__(config)
        self._app = app
        self._patience_s = patience_s
        self._ready_line = ready_line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._ready_line, flush=True)  # noqa: T201 - the one line that a person or a script waits for

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_S == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check(now, self._patience_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.parts.waiting.stop()
        await super().shutdown(sockets)

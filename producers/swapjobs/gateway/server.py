"""Running the gateway in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import TYPE_CHECKING, Final

import uvicorn

from swapjobs import logs
from swapjobs.contract.errors import SettingsError
from swapjobs.contract.listening import cannot_listen
from swapjobs.gateway.connection_limits import Connection, connection_class
from swapjobs.gateway.listener import ReadyServer, listen

if TYPE_CHECKING:
    from fastapi import FastAPI

    from swapjobs.settings import GatewaySettings

_GRACE_S: Final = 10
_BACKLOG: Final = 512  # asyncio takes so many new connections before it looks at one
_OTHER_FILES: Final = 300  # connections to Redis, one for each thread at most, and the spools of uploads
_TICKS_S: Final = 10  # uvicorn's


def serve(app: FastAPI, host: str, port: int, settings: GatewaySettings, *, log_level: str = "info") -> None:
    """Serve until SIGTERM or SIGINT; print `gateway ready on <url>` when requests are answered.

    Then waits and event streams end at once, requests under way within 10 s.

    Raises:
        SettingsError: it can't listen there.
    """
    logs.install(settings.log_format, logging.WARNING)
    logging.getLogger("swapjobs").setLevel(log_level.upper())
    try:
        listener = listen(host, port, _BACKLOG)
    except OSError as error:
        raise SettingsError(cannot_listen(host, port, error, holder="another gateway")) from None
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
    )
    _Server(config, host, app, settings.gateway_client_timeout_s).serve_until_stopped(listener)


def _room_for(connections: int) -> int:
    """Return how many connections may be open at once: no more than there are files for, which are asked for first.

    A process without a free file takes no connection at all, and can't ask Redis either.
    """
    now, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _BACKLOG + _OTHER_FILES
    if now != resource.RLIM_INFINITY and now < wanted:
        now = wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, limit))
    return connections if now == resource.RLIM_INFINITY else min(connections, max(now - _BACKLOG - _OTHER_FILES, 16))


class _Server(ReadyServer):
    """Cuts off clients that stand still in the middle of a request."""

    def __init__(self, config: uvicorn.Config, host: str, app: FastAPI, patience_s: float) -> None:
        # The parts are made when the app starts.
        super().__init__(config, "gateway", host, lambda: app.state.parts.stop())  # noqa: PLW0108
        self._patience_s = patience_s

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_S == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check(now, self._patience_s)
        return await super().on_tick(counter)

"""The command gateway: the HTTP gateway in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from swapjobs.cli.services import LogLevel, need
from swapjobs.contract.errors import SettingsError
from swapjobs.contract.urls import is_loopback
from swapjobs.settings import GatewaySettings, load_settings
from swapjobs.store.access.api_keys import ApiKeys
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import connect


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(gateway)


def gateway(
    *,
    host: Annotated[str, typer.Option(help="loopback unless there are keys: swapjobs keys create")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: a free one, which the first line tells")] = 8780,
    loglevel: Annotated[LogLevel, typer.Option(help="how much is told; probes at debug")] = "info",
) -> None:
    """Serve HTTP in the foreground, until SIGTERM or Ctrl-C."""
    settings = load_settings(GatewaySettings)
    need("fastapi", "gateway")
    from swapjobs.gateway.app import make_app  # noqa: PLC0415 - as above
    from swapjobs.gateway.server import serve  # noqa: PLC0415 - as above

    if not is_loopback(host) and not settings.gateway_keys and not _any_key(settings):
        raise SettingsError(
            f"--host {host}: without keys the gateway listens on 127.0.0.1 only, as anybody could use it;"
            " make one with `swapjobs keys create`, or set SWAPJOBS_GATEWAY_KEYS"
        )
    serve(make_app(settings), host, port, settings, log_level=loglevel)


def _any_key(settings: GatewaySettings) -> bool:
    with connect(settings) as client, queue_errors():
        return ApiKeys(client).any()

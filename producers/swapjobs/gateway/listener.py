"""What our uvicorn servers share: a listener without delays, one line that says it is ready."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: something else listens there, or the address is not this machine's.
        OverflowError: the port is not from 0 to 65535.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only on sockets that name TCP as their protocol, which create_server does
    # not; left on, it delays every answer that is written in two parts (head and body) by some 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


class ReadyServer(uvicorn.Server):
    """Prints `<name> ready on <url>` when requests are answered, and calls `on_stop` when the end begins."""

    def __init__(self, config: uvicorn.Config, name: str, host: str, on_stop: Callable[[], None]) -> None:
        """Make one; `host` is the address as the ready line shows it."""
        super().__init__(config)
        self._name, self._host = name, f"[{host}]" if ":" in host else host
        self._on_stop = on_stop

    def serve_until_stopped(self, listener: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT."""
        # uvicorn ends in order at either signal and then raises it again, for what was there before: for both, this.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
            self.run([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        if self.started and sockets:
            port = sockets[0].getsockname()[1]
            # The one line that a person or a script waits for.
            print(f"{self._name} ready on http://{self._host}:{port}", flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: first what `on_stop` ends, then the open connections."""
        self._on_stop()
        await super().shutdown(sockets)

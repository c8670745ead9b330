"""Answers probes and Prometheus: /livez, /readyz and /metrics of one worker process."""

from __future__ import annotations

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapworker.process.health import Health

    _Answers = Mapping[str, Callable[[], tuple[HTTPStatus, str, str]]]

_TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """An HTTP server in threads of its own; it listens as soon as it is made, and until the process ends.

    Args:
        host: Where it listens.
        port: The same; 0 is a free one.
        health: What it tells.
        metrics: Gives content type and text of the metrics.

    Raises:
        OSError: it can't listen there.
    """

    def __init__(self, host: str, port: int, health: Health, metrics: Callable[[], tuple[str, str]]) -> None:
        answers: _Answers = {
            "/livez": lambda: _verdict(health.not_live()),
            "/readyz": lambda: _verdict(health.not_ready()),
            "/metrics": lambda: (HTTPStatus.OK, *metrics()),
        }
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = _Server((host, port), _Handler, family=family, answers=answers)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()


def _verdict(why_not: str) -> tuple[HTTPStatus, str, str]:
    return (HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, why_not) if why_not else (HTTPStatus.OK, _TEXT, "ok")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: Any, *, family: socket.AddressFamily, answers: _Answers
    ) -> None:
        self.address_family = family
        self.answers = answers
        super().__init__(address, handler)

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5  # for a client that asks for nothing
    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            known = ", ".join(self.server.answers)
            return self._send(HTTPStatus.NOT_FOUND, _TEXT, f"known are {known}")
        try:
            return self._send(*answer())
        except Exception as error:  # noqa: BLE001 - of Redis, as it is read for the metrics
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, type(error).__name__)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def _send(self, status: HTTPStatus, content_type: str, text: str) -> None:
        body = f"{text.rstrip()}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Return the name of the server, not Python's."""
        return "swapjobs"

    def log_message(self, *_: Any) -> None:
        """Log nothing: probes come every few seconds."""

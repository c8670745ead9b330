"""One kept-alive connection as an httpx transport, and one exchange on it.

httpx is used below its `Client`: a client would keep cookies, follow the environment's proxies and log URLs, and costs
a third more CPU; a transport speaks HTTP and nothing else. What httpx has no argument for comes in through the network
backend of httpcore (`wire.py`): one deadline for the whole exchange, and whether a byte of the request got out.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpcore
import httpx

from swapworker.net.dial import Deadline, Guard, Origin, default_tls
from swapworker.net.errors import BadReply, NetError, ResponseTooLarge, explain
from swapworker.net.wire import Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

MAX_RETRY_AFTER_S: Final = 3600.0
_SWITCHING_PROTOCOLS: Final = 101

# httpcore writes every request's headers to its log at DEBUG: the vendor's credentials are among them.
logging.getLogger("httpcore").setLevel(logging.WARNING)

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. Header names are lower case; the body is as sent, still encoded if the peer encoded it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection to `origin`, opened by the first request; for one thread at a time.

    One that rested for more than `idle_limit_s`, or at which the peer has hung up, is replaced before it is used.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        guard: Guard | None = None,
        tls: ssl.SSLContext | None = None,
        idle_limit_s: float = 4.0,
    ) -> None:
        self._origin = origin
        self._wire = Wire(origin, guard)
        context = (tls or default_tls()) if origin.scheme == "https" else None
        self._transport = _Transport(self._wire, context, idle_limit_s)
        self._used_at = time.monotonic()

    def post(self, target: bytes, headers: Headers, body: bytes, *, deadline: Deadline, max_bytes: int) -> Reply:
        """Send a POST and return the reply, whatever its status. Host and Content-Length are added here.

        Raises:
            NetError: one of its subclasses; `ResponseTooLarge` if the reply's body has more than `max_bytes`.
        """
        self._wire.begin(deadline)
        status: int | None = None
        try:
            with contextlib.closing(self._transport.handle_request(self._request(target, headers, body))) as response:
                status = response.status_code
                if status == _SWITCHING_PROTOCOLS:
                    raise BadReply(f"{self._origin.host} changed the protocol")
                body = self._read(response, max_bytes)
            if self._wire.has_surplus(response.headers.get("content-length")):
                self._transport.close()
            return Reply(status, response.headers, body)
        except NetError as error:
            error.status = status
            raise
        except (OSError, httpcore.ProtocolError, httpcore.WriteError) as error:
            explained = explain(error, self._origin.host, sent=self._wire.sent, ended=self._wire.ended)
            explained.status = status
            raise explained from None  # no chain: the parser quotes headers, and ours are secret
        finally:
            self._used_at = time.monotonic()

    def rested_s(self) -> float:
        """Return the seconds since the last reply."""
        return time.monotonic() - self._used_at

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        self._transport.close()

    def _request(self, target: bytes, headers: Headers, body: bytes) -> httpx.Request:
        origin = self._origin
        url = httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=target)
        return httpx.Request("POST", url, headers=[(b"Host", origin.header), *headers], content=body)

    def _read(self, response: httpx.Response, max_bytes: int) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > max_bytes:
                raise ResponseTooLarge(f"{self._origin.host} sent more than {max_bytes} bytes")
        return bytes(body)


class _Transport(httpx.BaseTransport):
    """httpx's own `HTTPTransport`, for one connection and over our wire."""

    def __init__(self, wire: Wire, tls: ssl.SSLContext | None, idle_limit_s: float) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=idle_limit_s,
            network_backend=wire,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, a number or an HTTP date, at most `MAX_RETRY_AFTER_S`.

    None if there is no such header, if it makes no sense, or if its date has passed.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        at = email.utils.parsedate_to_datetime(value)
        wait = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(wait, MAX_RETRY_AFTER_S) if wait >= 0 else None

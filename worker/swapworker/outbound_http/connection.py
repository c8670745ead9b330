"""One kept-alive connection, and one exchange on it.

Of httpx its engine is used, httpcore: an httpx client would keep cookies, follow the environment's proxies and log
URLs, and it costs twice the CPU (420 us for a POST; httpcore's pool 240, its bare connection 180). What httpcore has no
argument for comes in through its network backend (`wire.py`): one deadline for the whole exchange, and whether a byte
of the request got out.
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

from swapworker.outbound_http.deadline_stream import DeadlineStream
from swapworker.outbound_http.dial import Deadline, Guard, Origin, Resolver, default_tls, system_resolver
from swapworker.outbound_http.errors import BadReply, NetError, ResponseTooLarge, explain

if TYPE_CHECKING:
    import ssl

MAX_RETRY_AFTER_S: Final = 3600.0
_MOST_HEADERS: Final = 100
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
        resolver: Resolver = system_resolver,
    ) -> None:
        self._origin = origin
        self._wire = DeadlineStream(origin, guard, resolver)
        self._tls = (tls or default_tls()) if origin.scheme == "https" else None
        self._idle_limit_s = idle_limit_s
        self._http = self._fresh()
        self._used_at = time.monotonic()

    def post(self, target: bytes, headers: Headers, body: bytes, *, deadline: Deadline, max_bytes: int) -> Reply:
        """Send a POST and return the reply, whatever its status. Host and Content-Length are added here.

        Raises:
            NetError: one of its subclasses; `ResponseTooLarge` if the reply's body has more than `max_bytes`.
        """
        self._wire.begin(deadline)
        if self._http.is_closed() or self._http.has_expired():
            self.close()
            self._http = self._fresh()
        status: int | None = None
        try:
            with contextlib.closing(self._http.handle_request(self._request(target, headers, body))) as response:
                status = response.status
                if status == _SWITCHING_PROTOCOLS:
                    raise BadReply(f"{self._origin.host} changed the protocol")
                if len(response.headers) > _MOST_HEADERS:
                    raise BadReply(f"{self._origin.host} sent more than {_MOST_HEADERS} headers")
                self._wire.expect_body(max_bytes)
                body = self._read(response, max_bytes)
            reply = Reply(status, _by_name(response.headers), body)
            if self._wire.has_surplus(reply.headers.get("content-length")):
                self.close()
        except NetError as error:
            error.status = status
            raise
        except (OSError, httpcore.ProtocolError, httpcore.WriteError) as error:
            explained = explain(error, self._origin.host, sent=self._wire.sent, ended=self._wire.ended)
            explained.status = status
            raise explained from None  # no chain: the parser quotes headers, and ours are secret
        else:
            return reply
        finally:
            self._used_at = time.monotonic()

    def rested_s(self) -> float:
        """Return the seconds since the last reply."""
        return time.monotonic() - self._used_at

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        self._http.close()

    def _fresh(self) -> httpcore.HTTPConnection:
        scheme, host, port = self._origin.scheme.encode("ascii"), self._origin.host.encode("ascii"), self._origin.port
        return httpcore.HTTPConnection(
            httpcore.Origin(scheme, host, port),
            ssl_context=self._tls,
            keepalive_expiry=self._idle_limit_s,
            network_backend=self._wire,
        )

    def _request(self, target: bytes, headers: Headers, body: bytes) -> httpcore.Request:
        origin = self._origin
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target)
        added = [(b"Host", origin.header), (b"Content-Length", b"%d" % len(body))]
        return httpcore.Request("POST", url, headers=[*added, *headers], content=body)

    def _read(self, response: httpcore.Response, max_bytes: int) -> bytes:
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > max_bytes:
                raise ResponseTooLarge(f"{self._origin.host} sent more than {max_bytes} bytes")
        return bytes(body)


def _by_name(headers: Headers) -> dict[str, str]:
    result: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        result[name] = f"{result[name]}, {value}" if name in result else value
    return result


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

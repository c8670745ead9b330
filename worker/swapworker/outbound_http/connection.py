"""One kept-alive connection, and one exchange on it.

Of httpx the parser is used, h11, and nothing else: an httpx client would keep cookies, follow the environment's proxies
and log URLs, and costs four times the CPU: a whole POST takes 110 us so, and took 220 on httpcore's bare connection.
What h11 has no part in comes from `deadline_stream.py`: one deadline for the whole exchange, and whether a byte of the
request got out.
"""

from __future__ import annotations

import email.utils
import functools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import h11

from swapworker.outbound_http.deadline_stream import DeadlineStream, WriteFailed
from swapworker.outbound_http.dial import Deadline, Guard, Origin, Resolver, default_tls, system_resolver
from swapworker.outbound_http.errors import BadReply, NetError, ResponseTooLarge, explain

if TYPE_CHECKING:
    import ssl

MAX_RETRY_AFTER_S: Final = 3600.0
_MOST_HEADERS: Final = 100
_LONGEST_EVENT: Final = 102_400  # bytes of a head or chunk header; the stream's own limit for a head is lower
_END: Final = h11.EndOfMessage()

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
        self._stream = DeadlineStream(
            origin, guard, resolver, (tls or default_tls()) if origin.scheme == "https" else None
        )
        self._idle_limit_s = idle_limit_s
        self._http = _fresh()
        self._used_at = time.monotonic()
        self._status: int | None = None

    def post(self, target: bytes, headers: Headers, body: bytes, *, deadline: Deadline, max_bytes: int) -> Reply:
        """Send a POST and return the reply, whatever its status. Host and Content-Length are added here.

        Raises:
            NetError: one of its subclasses; `ResponseTooLarge` if the reply's body has more than `max_bytes`.
        """
        self._stream.begin(deadline)
        self._status = None
        try:
            self._make_ready()
            self._send(_request(self._origin.header, target, tuple(headers), len(body)), body)
            reply = self._receive(max_bytes)
        except NetError as error:
            self.close()
            error.status = self._status
            raise
        except (OSError, h11.ProtocolError) as error:
            self.close()
            explained = explain(error, self._origin.host, sent=self._stream.sent, ended=self._stream.ended)
            explained.status = self._status
            raise explained from None  # no chain: the parser quotes headers, and ours are secret
        except BaseException:
            self.close()
            raise
        else:
            self._rest()
            return reply
        finally:
            self._used_at = time.monotonic()

    def rested_s(self) -> float:
        """Return the seconds since the last reply."""
        return time.monotonic() - self._used_at

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        self._stream.close()

    def _make_ready(self) -> None:
        if self._stream.is_open and (self.rested_s() > self._idle_limit_s or self._stream.is_readable()):
            self.close()
        if not self._stream.is_open:
            self._http = _fresh()
            self._stream.connect()

    def _send(self, request: h11.Request, body: bytes) -> None:
        http = self._http
        data = http.send(request) + http.send(h11.Data(data=body)) + http.send(_END)
        try:
            self._stream.write(data)
        except WriteFailed:
            http.send_failed()  # and a reply is looked for: a server may refuse a request before it has read all of it

    def _receive(self, max_bytes: int) -> Reply:
        while isinstance(response := self._next_event(), h11.InformationalResponse):
            pass
        if not isinstance(response, h11.Response):
            raise BadReply(f"{self._origin.host} did not answer in HTTP/1.1")
        self._status = response.status_code
        if len(response.headers) > _MOST_HEADERS:
            raise BadReply(f"{self._origin.host} sent more than {_MOST_HEADERS} headers")
        self._stream.expect_body(max_bytes)
        body = bytearray()
        while isinstance(event := self._next_event(), h11.Data):
            body += event.data
            if len(body) > max_bytes:
                raise ResponseTooLarge(f"{self._origin.host} sent more than {max_bytes} bytes")
        return Reply(response.status_code, _by_name(response.headers), bytes(body))

    def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(self._stream.read())
        return event  # type: ignore[return-value]  # mypy does not see that NEED_DATA is excluded

    def _rest(self) -> None:
        """Make the connection ready for the next request, where there may be one.

        What came after the reply would be taken for the beginning of the next: one job would get another's picture.
        """
        http = self._http
        if http.our_state is h11.DONE and http.their_state is h11.DONE and http.trailing_data == (b"", False):
            http.start_next_cycle()
        else:
            self.close()


def _fresh() -> h11.Connection:
    return h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=_LONGEST_EVENT)


@functools.lru_cache(maxsize=256)  # a worker's requests to the vendor differ in their lengths alone
def _request(host: bytes, target: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int) -> h11.Request:
    added = [(b"Host", host), (b"Content-Length", b"%d" % length)]
    return h11.Request(method=b"POST", target=target, headers=[*added, *headers])


def _by_name(headers: Headers) -> dict[str, str]:
    result: dict[str, str] = {}
    for raw_name, raw_value in headers:  # of h11, with names in lower case
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
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

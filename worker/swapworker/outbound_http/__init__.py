"""Outgoing HTTP: one POST under one total deadline, with errors that say whether the request got out.

Built on httpx's engine, httpcore, over a network of our own: httpx knows timeouts per read only, and can't tell a
request that never left from one whose reply was lost. There is no proxy, no redirect, no cookie, no decompression and
nothing read from the environment: a reply is what the peer sent.

Everything about an exchange ends by its deadline: looking up the name, connecting, TLS, writing, and every read.
The request's first byte divides the errors: before it `NotSent`, after it the others.

`dial` opens a connection, `wire` is what httpcore talks through, `connection` makes one exchange, `freelist` keeps
connections, `errors` names what failed.
"""

from swapworker.outbound_http.connection import Connection, Headers, Reply, retry_after_s
from swapworker.outbound_http.dial import Deadline, Guard, IpAddress, Origin, Resolver, split_url, system_resolver
from swapworker.outbound_http.errors import (
    AddressRefused,
    BadReply,
    NetError,
    NotSent,
    ReplyLost,
    ResponseTooLarge,
    TimedOut,
)
from swapworker.outbound_http.pool import ConnectionPool

__all__ = [
    "AddressRefused",
    "BadReply",
    "Connection",
    "ConnectionPool",
    "Deadline",
    "Guard",
    "Headers",
    "IpAddress",
    "NetError",
    "NotSent",
    "Origin",
    "Reply",
    "ReplyLost",
    "Resolver",
    "ResponseTooLarge",
    "TimedOut",
    "retry_after_s",
    "split_url",
    "system_resolver",
]

"""What can go wrong in an exchange, divided by the one question that matters: whether the request got out."""

from __future__ import annotations

import httpcore

from swapworker.outbound_http.dial import Forbidden

Raised = OSError | httpcore.ProtocolError | httpcore.WriteError


class NetError(Exception):
    """The exchange did not come to its end. The text holds no header, no path, no query string and no body.

    `status` is the HTTP status, if the reply got that far.
    """

    status: int | None = None


class NotSent(NetError):
    """No byte of the request left this process (lookup, connect, TLS): it can't have been carried out."""


class AddressRefused(NotSent):
    """The host has no address that may be connected to."""


class TimedOut(NetError):
    """The deadline passed after the request, or a part of it, was sent."""


class ReplyLost(NetError):
    """The connection broke after the request, or a part of it, was sent."""


class BadReply(NetError):
    """What came back is not HTTP/1.1."""


class ResponseTooLarge(NetError):
    """The reply is longer than allowed; the rest was not read."""


def explain(error: Raised, host: str, *, sent: bool, ended: bool) -> NetError:
    """Return the `NetError` for what a socket or httpcore raised.

    `sent`: a byte of the request was (or, under TLS, may have been) taken. `ended`: the peer has closed.
    """
    if not sent:
        return _explain_unsent(error, host)
    if isinstance(error, TimeoutError):
        return TimedOut(f"{host} did not answer in time")
    if isinstance(error, OSError):
        return ReplyLost(f"the connection to {host} broke: {_reason(error)}")
    if ended or isinstance(error, httpcore.WriteError):
        return ReplyLost(f"{host} closed the connection before the end of the reply")
    return BadReply(f"{host} did not answer in HTTP/1.1")


def _explain_unsent(error: Raised, host: str) -> NotSent:
    if isinstance(error, Forbidden):
        return AddressRefused(str(error))
    if isinstance(error, TimeoutError):
        return NotSent(f"no connection to {host} in time")
    if isinstance(error, OSError):
        return NotSent(f"no connection to {host}: {_reason(error)}")
    return NotSent("the request is not valid HTTP")  # its own text quotes the header that it dislikes


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__

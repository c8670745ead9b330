"""Opening a connection: the URL's parts, one deadline, the name's addresses, a check on them, TCP.

The lookup belongs to the deadline like everything else, and an address that was checked is the one connected to:
there is no second lookup that a hostile name server could answer differently. Every address of the answer is judged by
itself and those refused are left out: none of them is connected to, and a host with one usable address is still
reached (`localhost` is often 127.0.0.1 and ::1, of which an operator has allowed one).
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - at the first call it would take 10 ms, and the call would be late
import functools
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import certifi

from swapjobs.contract.urls import target_of

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Guard = Callable[[IpAddress], str | None]
"""Says why an address must not be connected to, or None."""
Resolver = Callable[[str], Sequence[IpAddress]]
"""Returns the addresses of a host name, the best first; raises OSError if there are none. It may take for ever."""

_MOST_ADDRESSES: Final = 8  # tried; the answer is a stranger's, who could have us knock at a thousand doors


class Forbidden(OSError):
    """The guard refused every address of the host."""


class Deadline:
    """One span of time that all steps of an exchange share."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds left, more than 0.

        Raises:
            TimeoutError: none is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect: scheme, host (ASCII, no brackets) and port of a URL."""

    scheme: str
    host: str
    port: int

    @property
    def header(self) -> bytes:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return (host if self.port == default else f"{host}:{self.port}").encode("ascii")


def split_url(url: str) -> tuple[Origin, bytes]:
    """Return the origin of an http or https URL, and the target to ask it for (path and query, percent-encoded).

    Raises:
        ValueError: it is no such URL, see `swapjobs.contract.urls`; the text does not repeat it.
    """
    target = target_of(url)
    return Origin(target.scheme, target.host, target.port), target.encoded


@functools.cache
def default_tls() -> ssl.SSLContext:
    """Return the one TLS context of the process: building it costs 30 ms. Trusts the system's store and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def system_resolver(host: str) -> list[IpAddress]:
    """Ask the system: hosts file, name servers, search list.

    Raises:
        OSError: no address is known.
    """
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(address[0]) for _, _, _, _, address in answers]


def connect(
    origin: Origin, deadline: Deadline, *, guard: Guard | None = None, resolver: Resolver = system_resolver
) -> socket.socket:
    """Return a connected socket; addresses are tried in turn, sharing what time is left.

    Raises:
        Forbidden: `guard` refused all addresses.
        OSError: no connection; what is raised is the last address's problem.
    """
    problem: OSError = OSError("the host has no address")
    addresses = _permitted(_look_up(origin.host, deadline, resolver), guard)[:_MOST_ADDRESSES]
    for others, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(deadline.left_s() / others)
            plain.connect((str(address), origin.port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            plain.close()
            problem = error
        except BaseException:
            plain.close()
            raise
        else:
            return plain
    raise problem


def _permitted(addresses: Sequence[IpAddress], guard: Guard | None) -> Sequence[IpAddress]:
    if guard is None:
        return addresses
    reasons = [guard(address) for address in addresses]
    if reasons and all(reasons):
        raise Forbidden(reasons[0])
    return [address for address, reason in zip(addresses, reasons, strict=True) if reason is None]


def _look_up(host: str, deadline: Deadline, resolver: Resolver) -> Sequence[IpAddress]:
    """Ask for the host's addresses, in a thread of its own: getaddrinfo knows no timeout.

    A thread that is stuck in a dead name server is left behind; it ends when the system's resolver gives up.
    """
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass  # a name
    answers: queue.SimpleQueue[Sequence[IpAddress] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host))
        except (OSError, ValueError) as error:  # ValueError: a label that IDNA refuses
            answers.put(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left_s())
    except queue.Empty:
        raise TimeoutError("the name was not looked up in time") from None
    if isinstance(answer, Exception):
        raise answer if isinstance(answer, OSError) else OSError("not a host name")
    return answer

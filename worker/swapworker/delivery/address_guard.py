"""Which addresses a webhook may be sent to: a callback URL comes from outside and must not reach our own network."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swapworker.outbound_http import Guard, IpAddress

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Python's own `is_global` differs between its patch releases; these must be refused by all.
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; a metadata service of one cloud
            "192.88.99.0/24",  # 6to4 relays
            "168.63.129.16/32",  # a metadata service of another cloud, on a public address
            "100.64.0.0/10",  # carrier-grade NAT; a metadata service of a third
            "2001::/23",  # Teredo and other assignments
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: any IPv4 address, wrapped
            "3fff::/20",  # documentation
        ),
    )
)
# Not the address itself: who sets a callback URL is not to learn what names mean in our network.
_NOT_PUBLIC: Final = (
    "the host's address is not public (see SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS; for this machine 127.0.0.1/32)"
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = 0x5EFE  # in any prefix the third quarter, but for one bit, of an address that wraps an IPv4 one


def guard(allowed: Iterable[IpNetwork], *, otherwise: str = "") -> Guard:
    """Return the check of an address: a public one, or inside an `allowed` network.

    With `otherwise`, a reason why the public ones are out of the question, only the latter.
    """
    networks = tuple(allowed)

    def refusal(address: IpAddress) -> str | None:
        inner = unwrapped(address)
        if any(item in network for network in networks for item in (address, inner)):
            return None
        if not is_public(inner):
            return _NOT_PUBLIC
        return otherwise or None

    return refusal


def unwrapped(address: IpAddress) -> IpAddress:
    """Return the IPv4 address inside an IPv4-mapped or NAT64 one; any other unchanged."""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: IpAddress) -> bool:
    """Say whether `address` is one host on the public internet."""
    if any(address in network for network in _NEVER) or address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _GLOBAL_UNICAST and (int(address) >> 32) & 0xFDFFFFFF != _ISATAP

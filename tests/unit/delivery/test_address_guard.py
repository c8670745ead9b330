"""Which addresses a webhook may go to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapworker.delivery.address_guard import guard

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "169.253.0.1",
    "2606::1:5efe:1:1",
]
PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff::10.0.0.1",
    "::ffff:0:127.0.0.1",
    "fd20:ce::254",
    "fe80::a9fe:a9fe",
    "100::1",
    "2001::1",
    "2606:4700::5efe:127.0.0.1",
    "2606:4700::200:5efe:8.8.8.8",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
NOT_SO = "https is required"


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_fine_unless_there_is_another_reason(address: str) -> None:
    assert guard([])(ipaddress.ip_address(address)) is None
    assert guard([], otherwise=NOT_SO)(ipaddress.ip_address(address)) == NOT_SO


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("otherwise", ["", NOT_SO])
def test_any_other_address_is_refused(address: str, otherwise: str) -> None:
    assert "not public" in (guard([], otherwise=otherwise)(ipaddress.ip_address(address)) or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::7"])
@pytest.mark.parametrize("otherwise", ["", NOT_SO])
def test_an_allowed_network_is_exempt(address: str, otherwise: str) -> None:
    networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fd00::/64")]
    check = guard(networks, otherwise=otherwise)
    assert check(ipaddress.ip_address(address)) is None
    assert check(ipaddress.ip_address("10.0.0.1")) is not None


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_does_not_make_it_better(address: ipaddress.IPv4Address) -> None:
    check = guard([])
    plain = check(address)
    assert check(ipaddress.ip_address(f"::ffff:{address}")) == plain
    assert check(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))) == plain
    assert check(ipaddress.IPv6Address((0x2002 << 112) + (int(address) << 80))) is not None
    assert check(ipaddress.IPv6Address((0x2A00 << 112) + (0x5EFE << 32) + int(address))) is not None
    assert check(ipaddress.IPv6Address((0x64FF9B0001 << 80) + int(address))) is not None


def test_the_ranges_of_the_registries_that_are_not_global_are_refused() -> None:
    """All of IANA's special-purpose blocks (RFC 6890) in their first, last and a middle address."""
    for network in map(ipaddress.ip_network, SPECIAL):
        for offset in (0, network.num_addresses // 2, network.num_addresses - 1):
            assert guard([])(network[offset]), f"{network[offset]} of {network}"

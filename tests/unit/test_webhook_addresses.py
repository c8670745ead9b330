"""Which addresses a webhook may go to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapworker.webhooks.addresses import guard

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "169.253.0.1"]
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
    "100::1",
    "2001::1",
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


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_fine_with_https_only(address: str) -> None:
    assert guard([], is_encrypted=True)(ipaddress.ip_address(address)) is None
    assert "https" in (guard([], is_encrypted=False)(ipaddress.ip_address(address)) or "")


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("is_encrypted", [True, False])
def test_any_other_address_is_refused(address: str, *, is_encrypted: bool) -> None:
    assert "not public" in (guard([], is_encrypted=is_encrypted)(ipaddress.ip_address(address)) or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::7"])
@pytest.mark.parametrize("is_encrypted", [True, False])
def test_an_allowed_network_is_exempt(address: str, *, is_encrypted: bool) -> None:
    networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fd00::/64")]
    check = guard(networks, is_encrypted=is_encrypted)
    assert check(ipaddress.ip_address(address)) is None
    assert check(ipaddress.ip_address("10.0.0.1")) is not None


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_wrapping_an_address_does_not_make_it_better(address: ipaddress.IPv4Address) -> None:
    check = guard([], is_encrypted=True)
    plain = check(address)
    assert check(ipaddress.ip_address(f"::ffff:{address}")) == plain
    assert check(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))) == plain
    assert check(ipaddress.IPv6Address((0x2002 << 112) + (int(address) << 80))) is not None

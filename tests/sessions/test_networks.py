"""Who counts as one where something is limited by address."""

from __future__ import annotations

import pytest

from sessions.networks import network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:7::1", "2001:db8:0:7::"),
        ("2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8:0:7::"),
        ("2001:db8:0:8::1", "2001:db8:0:8::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
    ],
)
def test_an_ipv4_address_is_one_and_an_ipv6_network_is(
    address: str, counted: str
) -> None:
    assert network(address) == counted

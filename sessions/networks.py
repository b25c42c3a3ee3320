"""Who counts as one where something is limited by address. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

HOST_BITS = 64
"""Of an IPv6 address: whoever has one has all of its /64 (RFC 6177), and may come from
another one each time."""


def network(address: str) -> str:
    """The address itself, or the first one of its IPv6 network; "" stays "", which is
    where nobody knows it."""
    if not address:
        return ""
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> HOST_BITS << HOST_BITS))

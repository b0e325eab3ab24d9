"""Which IP addresses are public: no private network, no host-local address, no tunnel.

The ranges are those of IANA's registries of special-purpose addresses (RFC 6890 and its updates).
Python's `is_global` follows them too, but differs between versions and ignores IPv4 addresses that
are embedded in IPv6 ones; so the table is here, and a test covers all of it. Of IPv6 only 2000::/3
is allocated, so everything else is refused without being listed.
"""

import ipaddress
from typing import Final

__all__ = ["IpAddress", "is_public"]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_RESERVED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # this host
        "169.254.0.0/16",  # this link, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112: sinks that many networks run inside
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_ALLOCATED_V6: Final = ipaddress.IPv6Network("2000::/3")
_RESERVED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID, AMT, AS112
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to the embedded IPv4 address over third-party relays
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: IpAddress) -> bool:
    """Whether an address, and any IPv4 address embedded in it, is on the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _RESERVED_V4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    return address in _ALLOCATED_V6 and not any(address in network for network in _RESERVED_V6)

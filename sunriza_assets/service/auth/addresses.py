"""Where a request comes from: the caller's address behind trusted proxies.

`X-Forwarded-For` is written by whoever likes to; it counts only as far as trusted proxies have
written it, read from the right.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sunriza_assets.errors import ParameterError

__all__ = ["Caller", "TrustedProxies"]

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip"))


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from."""

    address: str
    """IP address; `local` for a Unix socket."""
    network: str
    """What anonymous callers are counted by: /24 of IPv4, /64 of IPv6."""
    loopback: bool
    """Whether it comes from this machine itself, through no proxy."""
    secure: bool
    """Whether the caller speaks https, to a trusted proxy or to the service."""


class TrustedProxies:
    """Proxies whose forwarding headers count.

    Args:
        names: addresses and networks, `10.0.0.0/8`.

    Raises:
        ParameterError: one of them is neither.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._networks: list[_Network] = []
        for name in names:
            try:
                self._networks.append(ipaddress.ip_network(name, strict=False))
            except ValueError as error:
                raise ParameterError(
                    f"{name!r} is no address or network",
                    remedy="SUNRIZA_TRUSTED_PROXIES takes 10.0.0.7 or 10.0.0.0/8.",
                    code="setting",
                ) from error

    def caller(self, connection: Any) -> Caller:
        """Where a connection's request comes from.

        Args:
            connection: its ASGI scope.
        """
        peer = connection.get("client")
        headers: Sequence[tuple[bytes, bytes]] = connection["headers"]
        secure = connection.get("scheme") in ("https", "wss")
        forwarded = any(name in _FORWARDED for name, _ in headers)
        address = _parsed(peer[0]) if peer else None
        if address is None:
            return Caller("local", "local", loopback=not forwarded, secure=secure)
        if not self._trusts(address):
            return _caller(address, loopback=address.is_loopback and not forwarded, secure=secure)
        protocols = _list(headers, b"x-forwarded-proto")
        secure = secure or (bool(protocols) and protocols[-1].lower() == "https")
        for entry in reversed(_list(headers, b"x-forwarded-for")):
            further = _parsed(entry)
            if further is None:
                break
            address = further
            if not self._trusts(address):
                break
        return _caller(address, loopback=False, secure=secure)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


@lru_cache(maxsize=4096)
def _caller(address: _Address, *, loopback: bool, secure: bool) -> Caller:
    prefix = 24 if address.version == 4 else 64
    network = ipaddress.ip_network((address, prefix), strict=False)
    return Caller(str(address), str(network), loopback=loopback, secure=secure)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> _Address | None:
    """An address, IPv4 out of IPv6's mapping; None for anything else."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _list(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    """The entries of a list header, over all its lines."""
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]

"""Fetching a public https address that a document names, without becoming anybody's tool.

A document's URL is written by a client, so fetching it blindly would let strangers reach into the
network this runs in (server-side request forgery). Only hosts on the operator's allow-list are
asked; their name is resolved once, every address must be a public one, and the connection goes to
the very address that was checked, so that a name server which answers differently the second time
changes nothing. Redirects are followed a few times, each checked alike. Sizes and times are capped.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import certifi
import urllib3

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import StoreError

__all__ = ["PublicDownload", "public_addresses"]

_MAX_REDIRECTS: Final = 3
_CONNECT_S: Final = 10.0
_TOTAL_S: Final = 120.0
_CHUNK: Final = 1 << 16
# Networks that IPv6 addresses carry inside: what they lead to must be public as well.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def public_addresses(host: str) -> list[str]:
    """The addresses of a host, all of them public.

    Raises:
        StoreError: the name cannot be resolved, or one of its addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise StoreError("The address cannot be resolved", where=host, code="address") from problem
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        if not _is_public(ipaddress.ip_address(text.partition("%")[0])):
            raise _refused(host, "it leads into a private network")
    return addresses


class PublicDownload:
    """Downloads from allowed hosts.

    Args:
        allowed_hosts: host names; one that begins with a dot allows its subdomains.
        addresses: gives the checked addresses of a host.
        port: where they listen.
        authorities: file with the certificate authorities that are trusted.
    """

    def __init__(
        self,
        allowed_hosts: Sequence[str] = (),
        *,
        addresses: Callable[[str], list[str]] = public_addresses,
        port: int = 443,
        authorities: str | None = None,
    ) -> None:
        self._allowed = [host.strip().lower().rstrip(".") for host in allowed_hosts if host.strip()]
        self._addresses = addresses
        self._port = port
        self._authorities = authorities or certifi.where()

    def fetch(self, url: str, path: Path, *, max_bytes: int) -> Path:
        """Download an address into a file.

        Raises:
            StoreError: the address is refused, does not answer, or has more than `max_bytes`.
        """
        deadline = time.monotonic() + _TOTAL_S
        for _ in range(_MAX_REDIRECTS + 1):
            target = self._checked(url)
            response = self._get(target)
            try:
                if response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status != 200:
                    raise StoreError(
                        f"The address answers {response.status}", where=_shown(url), code="missing"
                    )
                return _save(response, path, _shown(url), max_bytes=max_bytes, deadline=deadline)
            except urllib3.exceptions.HTTPError as problem:
                raise _silent(url) from problem
            finally:
                response.close()
        raise _refused(url, "it redirects too often")

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError as problem:
            raise _refused(url, "it is not an address") from problem
        if parts.scheme != "https" or port not in (None, 443):
            raise _refused(url, "only https is read")
        if parts.username is not None or parts.password is not None:
            raise _refused(url, "it carries credentials")
        if not any(
            host == allowed or (allowed.startswith(".") and host.endswith(allowed))
            for allowed in self._allowed
        ):
            raise _refused(
                url, "its host is not allowed; SUNRIZA_ALLOWED_HOSTS lists those that are"
            )
        return parts

    def _get(self, target: SplitResult) -> urllib3.BaseHTTPResponse:
        host = (target.hostname or "").rstrip(".")
        address = self._addresses(host)[0]
        pool = urllib3.HTTPSConnectionPool(
            address,
            self._port,
            server_hostname=host,
            assert_hostname=host,
            cert_reqs=ssl.CERT_REQUIRED,
            ca_certs=self._authorities,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_CONNECT_S),
            retries=False,
        )
        path = target.path or "/"
        try:
            return pool.request(
                "GET",
                f"{path}?{target.query}" if target.query else path,
                # Compressed answers could unpack to more than they weigh.
                headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "sunriza"},
                preload_content=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as problem:
            raise _silent(target.geturl()) from problem


def _save(
    response: urllib3.BaseHTTPResponse, path: Path, url: str, *, max_bytes: int, deadline: float
) -> Path:
    said = response.headers.get("content-length", "0")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _refused(url, "it answers compressed")
    if not said.isdecimal() or int(said) > max_bytes:
        raise _too_large(url, max_bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with replacing(path) as file:
        while chunk := response.read(_CHUNK, decode_content=False):
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(url, max_bytes)
            if time.monotonic() > deadline:
                raise _refused(url, f"it takes longer than {_TOTAL_S:.0f} s")
            file.write(chunk)
    return path


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _shown(url: str) -> str:
    """An address without its query, which may hold a token."""
    plain = url.partition("?")[0]
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def _refused(url: str, why: str) -> StoreError:
    return StoreError(f"This address is not read: {why}", where=_shown(url), code="address")


def _silent(url: str) -> StoreError:
    return StoreError(
        "The address does not answer", where=_shown(url), remedy="Try again.", code="unavailable"
    )


def _too_large(url: str, max_bytes: int) -> StoreError:
    return StoreError(
        "The file is too large",
        where=url,
        remedy=f"At most {max_bytes / 1e6:g} MB are taken.",
        code="too_large",
    )

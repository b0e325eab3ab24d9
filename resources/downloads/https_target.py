"""Public https addresses that somebody else has written: which are contacted, and where they lead.

What fetches from such an address (`public_download`) and what posts to one (`webhook_post`) refuse
the same ones and resolve names alike: once, every address public, within a deadline.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from resources.downloads.deadline import Deadline
from resources.downloads.ip_ranges import is_public
from sunriza_assets.errors import StoreError

__all__ = ["https_target", "public_addresses", "refused", "request_target", "resolved", "shown"]

_MAX_URL: Final = 8192
"""Characters of an address; a request line must fit what a connection takes without waiting."""
_HOST: Final = re.compile(r"[a-z0-9._:-]+")
"""Host names and IPv6 addresses; an international name is read in its ASCII form (xn--)."""
_SAFE_CHARACTERS: Final = "/%:@!$&'()*+,;=~?"
"""What a path or query may hold besides letters, digits and `_.-`; other characters are quoted."""


def https_target(url: str) -> tuple[SplitResult, str]:
    """The parts of an https address on port 443 without credentials, and its host.

    Raises:
        StoreError: `store.address` it is another kind of address.
    """
    if len(url) > _MAX_URL:
        raise refused(url, "it is too long")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as problem:
        raise refused(url, "it is not an address") from problem
    if parts.scheme != "https" or port not in (None, 443):
        raise refused(url, "only https is read")
    if not _HOST.fullmatch(host):
        raise refused(url, "its host is written with other characters than a-z, 0-9, . and -")
    if parts.username is not None or parts.password is not None:
        raise refused(url, "it carries credentials")
    return parts, host


def request_target(parts: SplitResult) -> str:
    """Path and query as they stand in a request."""
    path = parts.path or "/"
    whole = f"{path}?{parts.query}" if parts.query else path
    return quote(whole, safe=_SAFE_CHARACTERS, errors="replace")


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
        if not is_public(ipaddress.ip_address(text.partition("%")[0])):
            raise refused(host, "it leads into a private network")
    return addresses


def resolved(addresses: Callable[[str], list[str]], host: str, deadline: Deadline) -> str:
    """The first address of a host; a resolver that hangs is abandoned at the deadline.

    Args:
        addresses: finds and checks the addresses of a host.
        host: its name.
        deadline: for finding them.

    Raises:
        StoreError: as `addresses`.
        TimeoutError: the deadline has passed.
    """
    answer: Future[list[str]] = Future()

    def run() -> None:
        try:
            answer.set_result(addresses(host))
        except Exception as problem:  # noqa: BLE001 - raised in the waiting thread
            answer.set_exception(problem)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return answer.result(deadline.remaining())[0]


def shown(url: str) -> str:
    """A URL for messages: without its query, which may hold a token, and shortened."""
    plain = url.partition("?")[0]
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def refused(url: str, why: str) -> StoreError:
    """The error of an address that is not contacted."""
    return StoreError(f"This address is not read: {why}", where=shown(url), code="address")

"""Downloading a public https address from a document, safe from request forgery (SSRF).

A document's URL is written by a client, so fetching it unchecked would let clients reach into the
network this runs in (server-side request forgery). Only hosts on the operator's allow-list are
contacted; their name is resolved once, every address must be public, and the connection goes to the
address that was checked, so that a name server which answers differently the second time (DNS
rebinding) changes nothing. Redirects are followed a few times, each checked alike. Sizes are
capped, and one absolute deadline covers name resolution, connections, redirects, headers and body.
The system's resolver cannot be interrupted, so it runs in a thread that is abandoned at the
deadline.
"""

import http.client
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import certifi

from resources.downloads.deadline import Deadline, connect_tls
from resources.downloads.ip_ranges import is_public
from sunriza_assets.atomic import make_folder, replacing
from sunriza_assets.errors import StoreError

__all__ = ["PublicDownload", "public_addresses"]

_MAX_REDIRECTS: Final = 3
_MAX_URL: Final = 8192
"""Characters of an address; a request line must fit what a connection takes without waiting."""
_CONNECT_S: Final = 10.0
"""For a connection and its handshake, within the deadline."""
_TOTAL_S: Final = 120.0
_CHUNK: Final = 1 << 16
_HOST: Final = re.compile(r"[a-z0-9._:-]*")
"""Host names and IPv6 addresses; an international name is read in its ASCII form (xn--)."""
_SAFE_CHARACTERS: Final = "/%:@!$&'()*+,;=~?"
"""What a path or query may hold besides letters, digits and `_.-`; other characters are quoted."""


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
            raise _refused(host, "it leads into a private network")
    return addresses


class PublicDownload:
    """Downloads from allowed hosts.

    Args:
        allowed_hosts: host names; one that begins with a dot allows its subdomains.
        addresses: gives the checked addresses of a host.
        port: TCP port of the hosts.
        authorities: file with the certificate authorities that are trusted.
        seconds: time limit of one download.
    """

    def __init__(
        self,
        allowed_hosts: Sequence[str] = (),
        *,
        addresses: Callable[[str], list[str]] = public_addresses,
        port: int = 443,
        authorities: str | None = None,
        seconds: float = _TOTAL_S,
    ) -> None:
        self._allowed = [host.strip().lower().rstrip(".") for host in allowed_hosts if host.strip()]
        self._addresses = addresses
        self._port = port
        self._authorities = authorities or certifi.where()
        self._seconds = seconds

    def fetch(self, url: str, path: Path, *, max_bytes: int) -> Path:
        """Download an address into a file.

        Raises:
            StoreError: the address is refused, does not answer, takes too long (`store.timeout`),
                or has more than `max_bytes`.
        """
        deadline = Deadline(self._seconds)
        for _ in range(_MAX_REDIRECTS + 1):
            target = self._checked(url)
            with self._store_errors(url, deadline), self._response(target, deadline) as response:
                location = response.getheader("location")
                if response.status in (301, 302, 303, 307, 308) and location is not None:
                    url = _joined(url, location)
                    continue
                if response.status != 200:
                    raise StoreError(
                        f"The address answers {response.status}", where=_shown(url), code="missing"
                    )
                _check_headers(response, url, max_bytes)
                make_folder(path.parent)
                with replacing(path) as file:
                    for chunk in self._body(response, url, deadline, max_bytes):
                        file.write(chunk)
                return path
        raise _refused(url, "it redirects too often")

    @contextmanager
    def _store_errors(self, url: str, deadline: Deadline) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as problem:
            if isinstance(problem, TimeoutError) and deadline.passed:
                raise StoreError(
                    f"The address takes longer than {self._seconds:g} s",
                    where=_shown(url),
                    remedy="Try again, or keep the file elsewhere.",
                    code="timeout",
                ) from problem
            raise StoreError(
                "The address does not answer",
                where=_shown(url),
                remedy="Try again.",
                code="unavailable",
            ) from problem

    def _body(
        self, response: http.client.HTTPResponse, url: str, deadline: Deadline, max_bytes: int
    ) -> Iterator[bytes]:
        """The body in pieces.

        Raises:
            StoreError: it ends early or late, or is too large.
        """
        size = 0
        while True:
            # Handled here: an OSError while writing the file would count as a disk error.
            with self._store_errors(url, deadline):
                chunk = response.read(_CHUNK)
                if not chunk and response.length:  # `read` with a size does not raise
                    raise http.client.IncompleteRead(b"", response.length)
            if not chunk:
                return
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(_shown(url), max_bytes)
            yield chunk

    def _checked(self, url: str) -> SplitResult:
        if len(url) > _MAX_URL:
            raise _refused(url, "it is too long")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError as problem:
            raise _refused(url, "it is not an address") from problem
        if parts.scheme != "https" or port not in (None, 443):
            raise _refused(url, "only https is read")
        if not _HOST.fullmatch(host):
            raise _refused(url, "its host is written with other characters than a-z, 0-9, . and -")
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

    @contextmanager
    def _response(
        self, target: SplitResult, deadline: Deadline
    ) -> Iterator[http.client.HTTPResponse]:
        """The host's response; its headers have been read, its body has not.

        Raises:
            StoreError: the name is refused.
            TimeoutError: the deadline has passed.
            OSError, HTTPException: it does not answer, or not in HTTP.
        """
        host = (target.hostname or "").rstrip(".")
        address = _with_deadline(lambda: self._addresses(host), deadline)[0]
        connecting = connect_tls(
            address,
            self._port,
            host=host,
            authorities=self._authorities,
            deadline=deadline,
            patience_s=_CONNECT_S,
        )
        connection = http.client.HTTPConnection(host)
        with connecting as secured, closing(connection):
            connection.sock = secured
            path = target.path or "/"
            connection.request(
                "GET",
                quote(
                    f"{path}?{target.query}" if target.query else path,
                    safe=_SAFE_CHARACTERS,
                    errors="replace",
                ),
                # Compressed answers could unpack to more than they weigh.
                headers={
                    "Host": host,
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    "User-Agent": "sunriza",
                },
            )
            with connection.getresponse() as response:
                yield response


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as problem:
        raise _refused(url, "it redirects to something that is not an address") from problem


def _check_headers(response: http.client.HTTPResponse, url: str, max_bytes: int) -> None:
    length = response.getheader("content-length", "0")
    if response.getheader("content-encoding", "identity") != "identity":
        raise _refused(url, "it answers compressed")
    if not length.isdecimal() or int(length) > max_bytes:
        raise _too_large(_shown(url), max_bytes)


def _with_deadline(ask: Callable[[], list[str]], deadline: Deadline) -> list[str]:
    """The result of a call that cannot be interrupted; its thread is abandoned at the deadline.

    Raises:
        TimeoutError: the deadline has passed.
    """
    answer: Future[list[str]] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as problem:  # noqa: BLE001 - raised in the waiting thread
            answer.set_exception(problem)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return answer.result(deadline.remaining())


def _shown(url: str) -> str:
    """A URL for messages: without its query, which may hold a token, and shortened."""
    plain = url.partition("?")[0]
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def _refused(url: str, why: str) -> StoreError:
    return StoreError(f"This address is not read: {why}", where=_shown(url), code="address")


def _too_large(url: str, max_bytes: int) -> StoreError:
    return StoreError(
        "The file is too large",
        where=url,
        remedy=f"At most {max_bytes / 1e6:g} MB are taken.",
        code="too_large",
    )

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin

import certifi

from resources.downloads.deadline import Deadline, connect_tls
from resources.downloads.https_target import (
    https_target,
    public_addresses,
    refused,
    request_target,
    resolved,
    shown,
)
from sunriza_assets.atomic import make_folder, replacing
from sunriza_assets.errors import StoreError

__all__ = ["PublicDownload", "public_addresses"]

_MAX_REDIRECTS: Final = 3
_CONNECT_S: Final = 10.0
"""For a connection and its handshake, within the deadline."""
_TOTAL_S: Final = 120.0
_CHUNK: Final = 1 << 16


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
                        f"The address answers {response.status}", where=shown(url), code="missing"
                    )
                _check_headers(response, url, max_bytes)
                make_folder(path.parent)
                with replacing(path) as file:
                    for chunk in self._body(response, url, deadline, max_bytes):
                        file.write(chunk)
                return path
        raise refused(url, "it redirects too often")

    @contextmanager
    def _store_errors(self, url: str, deadline: Deadline) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as problem:
            if isinstance(problem, TimeoutError) and deadline.passed:
                raise StoreError(
                    f"The address takes longer than {self._seconds:g} s",
                    where=shown(url),
                    remedy="Try again, or keep the file elsewhere.",
                    code="timeout",
                ) from problem
            raise StoreError(
                "The address does not answer",
                where=shown(url),
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
                raise _too_large(shown(url), max_bytes)
            yield chunk

    def _checked(self, url: str) -> SplitResult:
        parts, host = https_target(url)
        if not any(
            host == allowed or (allowed.startswith(".") and host.endswith(allowed))
            for allowed in self._allowed
        ):
            raise refused(
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
        address = resolved(self._addresses, host, deadline)
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
            connection.request(
                "GET",
                request_target(target),
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
        raise refused(url, "it redirects to something that is not an address") from problem


def _check_headers(response: http.client.HTTPResponse, url: str, max_bytes: int) -> None:
    length = response.getheader("content-length", "0")
    if response.getheader("content-encoding", "identity") != "identity":
        raise refused(url, "it answers compressed")
    if not length.isdecimal() or int(length) > max_bytes:
        raise _too_large(shown(url), max_bytes)


def _too_large(url: str, max_bytes: int) -> StoreError:
    return StoreError(
        "The file is too large",
        where=url,
        remedy=f"At most {max_bytes / 1e6:g} MB are taken.",
        code="too_large",
    )

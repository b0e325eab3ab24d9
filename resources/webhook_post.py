"""Posting to a webhook's address, which a caller of the service has written.

As `downloads.public_download`: https on port 443 only, the name resolved once, every address
public, the connection to the address that was checked. Redirects are not followed, and little of
the answer is read: its status is all that counts.
"""

import http.client
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

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
from sunriza_assets.errors import StoreError

__all__ = ["WebhookPost", "checked_webhook_url"]

TOTAL_S: Final = 10.0
"""For name, connection, handshake, request and answer together."""
ANSWER_BYTES: Final = 4096
"""Most bytes of an answer's body that are read."""


def checked_webhook_url(url: str) -> str:
    """The address itself, if a webhook may have it; its name is not resolved yet.

    Raises:
        StoreError: `store.address`.
    """
    https_target(url)
    return url


class WebhookPost:
    """Posts JSON to addresses.

    Args:
        addresses: returns the checked addresses of a host.
        port: TCP port of the hosts.
        authorities: file with the certificate authorities that are trusted.
        seconds: time limit of one post.
    """

    def __init__(
        self,
        *,
        addresses: Callable[[str], list[str]] = public_addresses,
        port: int = 443,
        authorities: str | None = None,
        seconds: float = TOTAL_S,
    ) -> None:
        self._addresses = addresses
        self._port = port
        self._authorities = authorities or certifi.where()
        self._seconds = seconds

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post once; the status of the answer.

        Raises:
            StoreError: `store.address` the address may not be used; `store.unavailable` there was
                no answer in time.
        """
        deadline = Deadline(self._seconds)
        parts, host = https_target(url)
        try:
            address = resolved(self._addresses, host, deadline)
            connecting = connect_tls(
                address,
                self._port,
                host=host,
                authorities=self._authorities,
                deadline=deadline,
                patience_s=self._seconds,
            )
            connection = http.client.HTTPConnection(host)
            with connecting as secured, closing(connection):
                connection.sock = secured
                common = {
                    "Host": host,
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    "User-Agent": "sunriza",
                }
                connection.request("POST", request_target(parts), body, {**common, **headers})
                with connection.getresponse() as response:
                    if not 200 <= response.status < 300:
                        response.read(ANSWER_BYTES)  # so that the receiver may finish writing
                    return response.status
        except UnicodeError as problem:
            raise refused(url, "its host is not a name") from problem
        except (OSError, http.client.HTTPException) as problem:
            raise StoreError(
                "The receiver does not answer", where=shown(url), code="unavailable"
            ) from problem

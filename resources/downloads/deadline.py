"""A TLS connection with an absolute deadline.

A socket's timeout holds for one wait, so a server that sends a byte now and then never lets it
expire. Here each read and write gets the time that remains until the deadline, and data is read in
blocks of a few kilobytes, so that a parser on top stops within one block.
"""

import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Deadline", "TimedSocket", "connect_tls"]

_BUFFER_BYTES: Final = 8192
"""Bytes read ahead."""


class Deadline:
    """A moment on the monotonic clock.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._end

    def remaining(self) -> float:
        """Seconds until the deadline, more than 0.

        Raises:
            TimeoutError: it has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("The deadline has passed")
        return left


class TimedSocket:
    """The part of a socket that `http.client` uses, held to a deadline."""

    def __init__(self, connection: ssl.SSLSocket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: "ReadableBuffer") -> None:
        """Send everything.

        Raises:
            TimeoutError: the deadline has passed.
        """
        rest = memoryview(data).cast("B")
        while rest:
            self._connection.settimeout(self._deadline.remaining())
            rest = rest[self._connection.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """Received data as a file; its reads raise `TimeoutError` at the deadline."""
        if mode != "rb":
            raise ValueError(f"Only reading is offered, not {mode!r}")
        return io.BufferedReader(_Incoming(self._connection, self._deadline), _BUFFER_BYTES)

    def close(self) -> None:
        """Do nothing: `http.client` closes before it reads the body; `connect_tls` closes."""


class _Incoming(io.RawIOBase):
    """The bytes that arrive on a connection."""

    def __init__(self, connection: ssl.SSLSocket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Wait for some bytes; 0 when there are no more."""
        self._connection.settimeout(self._deadline.remaining())
        return self._connection.recv_into(memoryview(buffer).cast("B"))

    def readall(self) -> bytes:
        """Refuse: a chunk of size -1 makes `http.client` read everything into memory."""
        raise OSError("Only pieces of a known size are read")


@contextmanager
def connect_tls(
    address: str,
    port: int,
    *,
    host: str,
    authorities: str,
    deadline: Deadline,
    patience_s: float,
) -> Iterator[TimedSocket]:
    """Connect to an address whose certificate must be for `host`; closes when the block ends.

    Args:
        address: an IP address; no name is resolved.
        port: TCP port.
        host: the name that its certificate must bear.
        authorities: file with the certificate authorities that are trusted.
        deadline: for everything done with the connection.
        patience_s: most seconds for the connection, and again for the handshake.

    Raises:
        TimeoutError: the deadline has passed, or `patience_s`.
        OSError: it cannot be reached, or its certificate is not valid for the host.
    """
    context = ssl.create_default_context(cafile=authorities)
    plain = socket.create_connection((address, port), timeout=min(patience_s, deadline.remaining()))
    with plain:
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    with secured:
        secured.settimeout(min(patience_s, deadline.remaining()))
        secured.do_handshake()  # its timeout holds for the whole handshake
        yield TimedSocket(secured, deadline)

"""A TLS connection that is over at an absolute deadline, whatever the other side does.

A socket's timeout holds for one wait, and whoever sends a byte now and then never lets it expire.
Here each read and write gets what is left until the deadline, and data is read in pieces of a few
kilobytes, so that no parser above is busy with more than one piece when the time is up.
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

_PIECE: Final = 8192
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
        """Whether it is over."""
        return time.monotonic() >= self._end

    def left(self) -> float:
        """Seconds until then, more than 0.

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
            self._connection.settimeout(self._deadline.left())
            rest = rest[self._connection.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """What the other side sends, as a file; its reads raise `TimeoutError` at the deadline."""
        if mode != "rb":
            raise ValueError(f"Only reading is offered, not {mode!r}")
        return io.BufferedReader(_Incoming(self._connection, self._deadline), _PIECE)

    def close(self) -> None:
        """Do nothing: `http.client` closes before it reads the body; `connect_tls` really does."""


class _Incoming(io.RawIOBase):
    """The bytes that arrive on a connection."""

    def __init__(self, connection: ssl.SSLSocket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Wait for some bytes; 0 when there are no more."""
        self._connection.settimeout(self._deadline.left())
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
    """Connect to an address whose certificate must be for `host`; closed when the block ends.

    Args:
        address: an IP address; no name is resolved.
        port: where it listens.
        host: the name that its certificate must bear.
        authorities: file with the certificate authorities that are trusted.
        deadline: of everything that is done with the connection.
        patience_s: most seconds for the connection, and again for the handshake.

    Raises:
        TimeoutError: the deadline, or the patience, is over.
        OSError: it cannot be reached, or does not prove to be the host.
    """
    context = ssl.create_default_context(cafile=authorities)
    plain = socket.create_connection((address, port), timeout=min(patience_s, deadline.left()))
    with plain:
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    with secured:
        secured.settimeout(min(patience_s, deadline.left()))
        secured.do_handshake()  # its timeout holds for the whole handshake
        yield TimedSocket(secured, deadline)

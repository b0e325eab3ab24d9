"""One deadline holds over a whole download, whatever the other side does with its time.

The servers here speak TLS and HTTP byte by byte, so that each can be slow in its own place. Every
one of them would go on for minutes if the client let it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from resources.downloads.public_download import PublicDownload
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.resources.downloads.test_public_download import HOST, authority

__all__ = ["authority"]

LIMIT_S: Final = 1.0
"""What the downloads below may take."""
GRACE_S: Final = 20.0
"""On top, for a busy machine; the servers go on for `PATIENCE_S`."""
PATIENCE_S: Final = 60.0

Answer = Callable[[socket.socket], None]


class HostileSite:
    """A TLS server that answers every request by one function of the connection.

    Args:
        certificate: file with its certificate and key.
        answer: what it says once the request is read.
        handshake: whether TLS is spoken at all; otherwise `answer` gets the plain connection.
    """

    def __init__(self, certificate: Path, answer: Answer, *, handshake: bool = True) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._answer = answer
        self._handshake = handshake
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            if self._handshake:
                connection = self._context.wrap_socket(connection, server_side=True)
                connection.recv(65536)
            self._answer(connection)
        except OSError:  # the client has had enough
            pass
        finally:
            connection.close()


def drip(connection: socket.socket, piece: bytes) -> None:
    """Send a piece again and again, ten times a second."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        connection.sendall(piece)
        time.sleep(0.1)


def after(head: bytes, piece: bytes) -> Answer:
    """First this, then drip that."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        drip(connection, piece)

    return answer


def many_continues(connection: socket.socket) -> None:
    """As fast as they are taken."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def round_and_round(connection: socket.socket) -> None:
    """Each redirect takes most of what one connection may take."""
    time.sleep(LIMIT_S * 0.7)
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


OK: Final = b"HTTP/1.1 200 OK\r\n"
ANSWERS: Final[dict[str, Answer]] = {
    "silence": lambda _: time.sleep(PATIENCE_S),
    "status line that drips": after(b"HTTP/1.1 ", b"2"),
    "headers that drip": after(OK + b"X-Slow: ", b"x"),
    "headers without end": after(OK, b"X-Slow: x\r\n"),
    "body that drips": after(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
    "body of unsaid length that drips": after(OK + b"\r\n", b"x"),
    "chunks that drip": after(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "chunk extension that drips": after(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trailers that drip": after(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Slow: x\r\n"),
    "continues that drip": after(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "continues without end": many_continues,
    "continue whose headers drip": after(b"HTTP/1.1 100 Continue\r\n", b"X-Slow: x\r\n"),
    "redirects that take their time": round_and_round,
}


@pytest.fixture
def serving(authority: Path) -> Iterator[Callable[..., PublicDownload]]:
    sites: list[HostileSite] = []

    def start(
        answer: Answer, *, handshake: bool = True, seconds: float = LIMIT_S
    ) -> PublicDownload:
        site = HostileSite(authority, answer, handshake=handshake)
        sites.append(site)
        return PublicDownload(
            [HOST],
            addresses=lambda _: ["127.0.0.1"],
            port=site.port,
            authorities=str(authority),
            seconds=seconds,
        )

    yield start
    for site in sites:
        site.close()


def refused(downloads: PublicDownload, folder: Path) -> StoreError:
    """What the download is refused with; fails unless it ends about when it must."""
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        downloads.fetch(f"https://{HOST}/clip.mp4?token=secret", folder / "file", max_bytes=10**6)
    took = time.monotonic() - started
    assert took < LIMIT_S + GRACE_S, f"it took {took:.1f} s"
    assert list(folder.iterdir()) == []
    assert "secret" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("name", ANSWERS)
def test_a_slow_answer_is_over_at_the_deadline(
    serving: Callable[..., PublicDownload], tmp_path: Path, name: str
) -> None:
    refusal = refused(serving(ANSWERS[name]), tmp_path)
    assert refusal.code == "store.timeout"
    assert "1 s" in refusal.message


@pytest.mark.parametrize(
    "answer",
    [ANSWERS["silence"], after(b"\x16\x03\x03\x40\x00", b"\x02")],
    ids=["silent", "a record that drips"],
)
def test_a_handshake_is_over_at_the_deadline(
    serving: Callable[..., PublicDownload], tmp_path: Path, answer: Answer
) -> None:
    assert refused(serving(answer, handshake=False), tmp_path).code == "store.timeout"


def test_a_name_that_is_not_resolved_in_time(tmp_path: Path) -> None:
    never = threading.Event()

    def addresses(_: str) -> list[str]:
        never.wait(PATIENCE_S)
        return ["127.0.0.1"]

    downloads = PublicDownload([HOST], addresses=addresses, seconds=LIMIT_S)
    try:
        assert refused(downloads, tmp_path).code == "store.timeout"
    finally:
        never.set()


def test_an_address_that_does_not_take_connections(tmp_path: Path) -> None:
    """A listener whose queue is full: the kernel lets further connections wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        downloads = PublicDownload(
            [HOST],
            addresses=lambda _: ["127.0.0.1"],
            port=listener.getsockname()[1],
            seconds=LIMIT_S,
        )
        assert refused(downloads, tmp_path).code == "store.timeout"
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"\0" * 1_000_000,
    ],
    ids=["one long header", "many headers", "a long status line", "no HTTP"],
)
def test_headers_are_bounded(
    serving: Callable[..., PublicDownload], tmp_path: Path, head: bytes
) -> None:
    """They are refused by their size, long before the deadline."""
    downloads = serving(lambda connection: connection.sendall(head), seconds=30.0)
    assert refused(downloads, tmp_path).code == "store.unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 1000\r\n\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n5\r\nha",
    ],
    ids=["length", "chunks"],
)
def test_half_a_body_is_not_kept(
    serving: Callable[..., PublicDownload], tmp_path: Path, answer: bytes
) -> None:
    downloads = serving(lambda connection: connection.sendall(answer))
    assert refused(downloads, tmp_path).code == "store.unavailable"


def test_a_chunk_of_negative_size_is_not_read(
    serving: Callable[..., PublicDownload], tmp_path: Path
) -> None:
    """`http.client` would take -1 for "all there is", and hold it in memory."""
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"
    downloads = serving(after(head, b"x" * 100_000), seconds=30.0)
    assert refused(downloads, tmp_path).code == "store.unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nvideo",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nvideo\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"\r\nvideo",
    ],
    ids=["length", "chunks", "continued"],
)
def test_whole_bodies_are_kept(
    serving: Callable[..., PublicDownload], tmp_path: Path, answer: bytes
) -> None:
    """The control: the same servers, in time."""
    downloads = serving(lambda connection: connection.sendall(answer))
    path = downloads.fetch(f"https://{HOST}/a clip.mp4", tmp_path / "file", max_bytes=5)
    assert path.read_bytes() == b"video"

"""The file server of a home, as `sunriza dev` starts it: beside a process that becomes another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse

from resources.home import Home
from sunriza_assets_tests.processes import free_port, wait_for

__all__ = ["Host", "answers", "asked", "hosted"]

HOST = """
import os, sys
from resources.serving.media_server import start_with_parent
start_with_parent(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
"""


@dataclass(frozen=True)
class Host:
    """A process that has started the server beside it and then become another program."""

    process: "subprocess.Popen[bytes]"
    port: int


@contextmanager
def hosted(home: Home, port: int = 0) -> Iterator[Host]:
    """The local store over HTTP, on a free port unless one is said."""
    port = port or free_port()
    environment = {**os.environ, "SUNRIZA_HOME": str(home.root)}
    process = subprocess.Popen([sys.executable, "-c", HOST, str(port)], env=environment)
    try:
        wait_for(lambda: answers(port))
        yield Host(process, port)
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether a server listens on the port."""
    try:
        return asked(port, "/").status > 0
    except ConnectionError:
        return False


def asked(
    port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> HTTPResponse:
    """The answer to one request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=headers or {})
    return connection.getresponse()

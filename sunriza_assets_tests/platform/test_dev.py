"""`sunriza dev`, started as a user starts it: links in the UI follow the port and the home."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from resources.home import Home
from resources.serving.media_server import link
from resources.storage.local import LocalStorage
from sunriza_assets_tests.processes import free_port, has_ended, wait_for
from sunriza_assets_tests.resources.serving.file_server import answers, asked

pytestmark = pytest.mark.slow
SUNRIZA = str(Path(sys.executable).with_name("sunriza"))
NAME = "avatars/a b/dynamics/basic/idle.mp4"


def home_with(folder: Path, content: bytes) -> Home:
    home = Home(folder)
    folder.mkdir(parents=True)
    file = folder / "new"
    file.write_bytes(content)
    LocalStorage(home).put(file, NAME)
    return home


@contextmanager
def developing(home: Home, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [SUNRIZA, "dev", "--port", str(port)]
    without = {name: said for name, said in os.environ.items() if name[:7] not in _SETTINGS}
    process = subprocess.Popen(command, env={**without, "SUNRIZA_HOME": str(home.root)})
    try:
        wait_for(lambda: answers(port) or process.poll() is not None, seconds=180)
        yield process
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


_SETTINGS = ("SUNRIZA", "DAGSTER")


def followed(port: int, path: str) -> tuple[str, bytes]:
    """Where a link of the UI ends, and what lies there."""
    led = asked(port, path)
    assert led.status == 307
    address = led.headers["location"]
    files_port, _, name = address.removeprefix("http://127.0.0.1:").partition("/")
    answer = asked(int(files_port), f"/{name}")
    assert answer.status == 200
    return address, answer.read()


def test_a_link_follows_whichever_server_serves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One link, kept in metadata, from two ports and out of a home that was moved."""
    monkeypatch.delenv("SUNRIZA_MEDIA_URL", raising=False)
    home = home_with(tmp_path / "first", b"an idle")
    monkeypatch.setenv("SUNRIZA_HOME", str(home.root))
    stored = LocalStorage(home).stat(NAME)
    assert stored is not None
    kept = link(stored.url)
    found = []
    for folder in ("first", "moved"):
        if folder == "moved":
            home.root.rename(tmp_path / folder)
        port = free_port()
        with developing(Home(tmp_path / folder), port) as process:
            assert process.poll() is None
            found.append(followed(port, kept))
            root = asked(port, "/files/")
            assert root.status == 307
            assert b"dagster" in asked(port, "/server_info").read()
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM if folder == "moved" else signal.SIGINT)
            assert process.wait(timeout=90) == 0
            wait_for(lambda: all(map(has_ended, family)), seconds=60)  # noqa: B023 - at once
    assert [content for _, content in found] == [b"an idle", b"an idle"]
    assert found[0][0] != found[1][0]


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = subprocess.run(
            [SUNRIZA, "dev", "--port", str(taken.getsockname()[1])],
            env={**os.environ, "SUNRIZA_HOME": str(tmp_path / "home")},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=180,
        )
    assert told.returncode == 2
    assert "--port" in told.stderr
    assert "Traceback" not in told.stderr

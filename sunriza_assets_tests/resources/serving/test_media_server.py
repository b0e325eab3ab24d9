"""The local store over HTTP, by a real server and, where there is one, in a real browser."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.home import Home
from resources.serving.media_server import link
from resources.storage.local import LocalStorage
from sunriza_assets_tests.browser import chromium, open_page
from sunriza_assets_tests.processes import free_port, wait_for
from sunriza_assets_tests.resources.serving.file_server import Host, answers, asked, hosted

PAGE = """<!doctype html><title>wait</title><canvas></canvas><script>
const image = new Image();
image.onload = async () => {
  const context = document.querySelector("canvas").getContext("2d");
  context.drawImage(image, 0, 0);
  const drawn = context.getImageData(0, 0, 1, 1).data[0];
  const others = await fetch("/avatars/other.txt").then((r) => r.text()).catch(() => "nothing");
  document.title = `drawn ${drawn}, read ${others}`;
};
image.src = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>" +
  "<rect width='9' height='9' fill='rgb(200,0,0)'/></svg>";
</script>"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    home = Home(folder)
    store = LocalStorage(home)
    for name, content in {
        "avatars/a b/idle.mp4": bytes(range(256)),
        "avatars/page.html": PAGE.encode(),
        "avatars/other.txt": b"somebody else's",
    }.items():
        file = folder / "new"
        file.write_bytes(content)
        store.put(file, name)
    (home.storage / "way-out").symlink_to(folder / "new")
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Host]:
    with hosted(home) as host:
        yield host


def test_an_object_is_served_whole_and_in_ranges(server: Host) -> None:
    whole = asked(server.port, "/avatars/a%20b/idle.mp4")
    assert (whole.status, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.read() == bytes(range(256))
    part = asked(server.port, "/avatars/a%20b/idle.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status, part.read()) == (206, bytes(range(10, 20)))


@pytest.mark.parametrize(
    "path",
    [
        "/avatars",
        "/avatars/none.mp4",
        "/way-out",
        "/.objects/avatars/page.html.json",
        "/../new",
        "/%2e%2e/new",
        "/avatars/..%2f..%2fnew",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_served(server: Host, path: str) -> None:
    assert asked(server.port, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_written(server: Host, home: Home, method: str) -> None:
    assert asked(server.port, "/avatars/other.txt", method).status == 405
    assert (home.storage / "avatars/other.txt").read_bytes() == b"somebody else's"


def test_another_host_s_name_is_refused(server: Host) -> None:
    """As in DNS rebinding, where a foreign domain resolves to this machine."""
    response = asked(server.port, "/avatars/other.txt", headers={"Host": "pictures.example:3001"})
    assert response.status == 400


@pytest.mark.parametrize(
    ("name", "caged"), [("page.html", True), ("other.txt", True), ("a%20b/idle.mp4", False)]
)
def test_what_may_run_scripts_gets_an_origin_of_its_own(
    server: Host, name: str, caged: bool
) -> None:
    """A video must not: a browser refuses to play it there."""
    headers = asked(server.port, f"/avatars/{name}").headers
    assert ("sandbox" in headers.get("content-security-policy", "")) is caged
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.skipif(chromium() is None, reason="no chromium here; CI brings it")
def test_a_page_in_the_store_plays_and_reads_nothing_else(server: Host) -> None:
    with open_page(f"http://localhost:{server.port}/avatars/page.html") as page:
        title = page.wait_for("document.title !== 'wait' && document.title")
    assert title == "drawn 200, read nothing"


def test_a_link_is_a_path_of_the_ui_and_a_bucket_s_stays(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(home.root))
    monkeypatch.delenv("SUNRIZA_MEDIA_URL", raising=False)
    stored = LocalStorage(home).stat("avatars/a b/idle.mp4")
    assert stored is not None
    assert link(stored.url) == "/files/avatars/a%20b/idle.mp4", "no port, no home"
    monkeypatch.setenv("SUNRIZA_MEDIA_URL", "http://box:81/")
    assert link(stored.url) == "http://box:81/avatars/a%20b/idle.mp4"
    for other in ("https://bucket.example/o/a?token=1", Path("/etc/passwd").as_uri()):
        assert link(other) == other


def test_the_server_ends_with_the_process_it_stands_beside(home: Home) -> None:
    with hosted(home) as host:
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        wait_for(lambda: not answers(host.port), seconds=20)


def test_ctrl_c_ends_it_without_a_word(home: Home) -> None:
    reading, writing = os.pipe()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "resources.serving.media_server", str(port)],
        env={**os.environ, "SUNRIZA_HOME": str(home.root)},
        stdin=reading,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(lambda: answers(port))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == b""
    finally:
        process.kill()
        os.close(reading)
        os.close(writing)


def test_started_by_hand_it_stays_until_it_is_ended(home: Home) -> None:
    """Without a parent to leave with: its input is a terminal, or nothing at all."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "resources.serving.media_server", str(port)],
        env={**os.environ, "SUNRIZA_HOME": str(home.root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        wait_for(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None
        assert asked(port, "/").status == 200
    finally:
        process.kill()
        assert f"http://localhost:{port}\n".encode() in process.communicate()[0]

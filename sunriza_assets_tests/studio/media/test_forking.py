"""Children of the fork server: as confined as others, reported like others, gone like others."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.forking import ForkServer
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.processes import has_ended, wait_for
from sunriza_assets_tests.studio.media.films import Film, Sound, write
from sunriza_assets_tests.studio.media.test_sandbox import stand_in


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with sandbox.fork_server() as server:
        yield server


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> list[psutil.Process]:
    """Children of the fork servers of this process."""
    servers = [one for one in psutil.Process().children() if _is_fork_server(one)]
    return [child for one in servers for child in one.children()]


def _is_fork_server(process: psutil.Process) -> bool:
    try:
        return "media.forking" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie, too: another test's child that nobody has waited for
        return False


def test_results_are_those_of_other_children(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", Film(sound=Sound()))
    alone = trim(clip, tmp_path / "b.mp4")
    with sandbox.fork_server():
        steps: list[tuple[int, int]] = []
        forked = trim(clip, tmp_path / "c.mp4", progress=lambda done, of: steps.append((done, of)))
    assert alone == forked
    assert steps[-1] == (12, 12)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_errors_cross_over_and_nothing_is_left_open(server: ForkServer, tmp_path: Path) -> None:
    text = tmp_path / "a.png"
    text.write_text("no picture")
    before = 0
    for _ in range(5):
        with pytest.raises(MediaError, match="no known kind"):
            read_picture(text)
        before = before or _open_descriptors()
    assert _open_descriptors() == before
    assert not _children()


def test_the_processor_time_of_children_is_that_of_who_waited(
    server: ForkServer, tmp_path: Path
) -> None:
    clip = write(tmp_path / "a.mp4", Film(count=3))
    spent = server.thread_cpu_s
    found: list[float] = []

    def ask() -> None:
        info = probe(clip)
        assert isinstance(info, VideoInfo)
        found.append(server.thread_cpu_s)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and min(found) > 0
    assert server.thread_cpu_s == spent


@pytest.mark.parametrize(
    ("what", "code", "shown"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory", "short of memory"),
        ("os._exit(7)", "crashed", "exit status 7"),
        ("raise ZeroDivisionError('oh')", "crashed", "exit status 1"),
        ("x = bytearray(3_000_000_000)", "memory", "more memory"),
        ("while True: pass", "timeout", "longer"),
    ],
)
def test_a_crash_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: str, shown: str
) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    stand_in(monkeypatch, tmp_path, what)
    with sandbox.fork_server(), pytest.raises(MediaError, match=shown) as refusal:
        sandbox.run_task("probe", path, limits=Limits(probe_seconds=1), seconds=30)
    assert refusal.value.code == f"media.{code}"


def test_a_child_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    stand_in(monkeypatch, tmp_path, "import time; time.sleep(600)")
    with sandbox.fork_server():
        with pytest.raises(MediaError) as refusal:
            sandbox.run_task("probe", path, limits=DEFAULT_LIMITS, seconds=1.0)
        assert refusal.value.code == "media.timeout"
        assert not _children()


def test_a_server_that_was_killed_is_started_anew(server: ForkServer, tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", Film(count=3))
    probe(clip)
    for _ in range(2):
        (old,) = (child for child in psutil.Process().children() if _is_fork_server(child))
        old.kill()
        assert isinstance(probe(clip), VideoInfo)


def test_a_server_that_is_ending_is_started_anew(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is closed before the kernel says that the process is over."""
    clip = write(tmp_path / "a.mp4", Film(count=3))
    probe(clip)
    process = server._process
    assert process is not None
    process.kill()
    process.wait()
    monkeypatch.setattr(process, "poll", lambda: None)
    assert isinstance(probe(clip), VideoInfo)


CALLER = """
import sys
from pathlib import Path
from sunriza_assets.studio.media import sandbox
sandbox._PACKAGE_ROOT = Path(sys.argv[1])
with sandbox.fork_server():
    sandbox.run_task("probe", Path(sys.argv[2]), limits=sandbox.Limits(), seconds=600)
"""


def test_server_and_child_end_with_their_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    stand_in(monkeypatch, tmp_path, "import time; time.sleep(600)")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(sandbox._PACKAGE_ROOT), str(path)],
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        descendants: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while len(descendants) < 2 and time.monotonic() < deadline:
            descendants = psutil.Process(caller.pid).children(recursive=True)
            time.sleep(0.02)
        assert len(descendants) == 2
    finally:
        caller.kill()
        caller.wait()
    for process in descendants:
        wait_for(lambda one=process: has_ended(one))
    wait_for(lambda: not list(temporary.iterdir()))

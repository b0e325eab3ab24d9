"""The child: it cannot reach out, cannot eat the machine, and does not outlive who asked."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from sunriza_assets.errors import MediaError, ParameterError, StoreError
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.processes import has_ended, wait_for
from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.films import Film, Sound, ffmpeg, write

LONG = Film(count=1500, size=(1280, 720))
"""Takes tens of seconds to trim."""


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=10", "-preset", "ultrafast", path)
    return path


def code_of(error: pytest.ExceptionInfo[MediaError]) -> str:
    return error.value.code.removeprefix("media.")


def test_a_clip_is_trimmed_in_the_child_and_progress_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", Film(sound=Sound()))
    steps: list[tuple[int, int]] = []
    info = trim(
        tmp_path / "a.mp4", tmp_path / "b.mp4", progress=lambda done, of: steps.append((done, of))
    )
    assert (info.frame_count, info.audio_codec) == (12, "aac")
    assert steps == [(i, 12) for i in range(1, 13)]
    assert probe(tmp_path / "b.mp4") == info
    assert trim(tmp_path / "a.mp4", tmp_path / "c.mp4", keep_audio=False).audio_codec is None


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(tmp_path: Path, bad: float) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    for times in ({"start": bad}, {"max_seconds": bad}):
        with pytest.raises(ParameterError):
            trim(path, tmp_path / "b.mp4", **times)


def test_ten_seconds_are_the_default_and_the_limits_may_say_otherwise(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Film(rate=Fraction(10), count=104))
    assert trim(path, tmp_path / "b.mp4").duration == 10
    assert trim(path, tmp_path / "b.mp4", limits=Limits(clip_seconds=3)).duration == 3


def test_equal_clips_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", Film(count=40, sound=Sound()))
    for name in ("b.mp4", "c.mp4"):
        trim(tmp_path / "a.mp4", tmp_path / name)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()


def test_errors_cross_over_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", Film(codec="libx264"))
    path = tmp_path / "b.mkv"
    ffmpeg("-i", tmp_path / "a.mkv", "-c:v", "ffv1", path)
    with pytest.raises(MediaError) as refusal:
        probe(path)
    assert code_of(refusal) == "unsupported"
    assert refusal.value.where == str(path)
    assert "ffv1" in refusal.value.what
    assert "h264" in str(refusal.value.remedy)


def test_too_little_memory_is_a_named_error(long_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as refusal:
        trim(long_clip, tmp_path / "b.mp4", limits=Limits(memory_bytes=260_000_000))
    assert code_of(refusal) in ("memory", "crashed")
    assert not list(tmp_path.iterdir())


def test_too_little_time_is_a_named_error(long_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as refusal:
        trim(long_clip, tmp_path / "b.mp4", limits=Limits(decode_seconds=0.6))
    assert code_of(refusal) == "timeout"
    assert not list(tmp_path.iterdir())


def test_processor_time_of_a_refusal_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that only keeps the demuxer busy is given up after a second of processor time."""
    path = tmp_path / "many.mp4"
    write(path, Film(count=2))
    stand_in(monkeypatch, tmp_path, "while True: pass")
    with pytest.raises(MediaError) as refusal:
        sandbox.run_task("probe", path, limits=Limits(probe_seconds=1), seconds=60)
    assert code_of(refusal) == "timeout"


@pytest.mark.parametrize(
    ("what", "code", "shown"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
        ("os.abort()", "crashed", "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory", "short of memory"),
        ("os._exit(7)", "crashed", "exit status 7"),
        ("raise ZeroDivisionError('oh')", "crashed", "exit status 1"),
        ("raise MemoryError", "memory", "more memory"),
        ("x = bytearray(3_000_000_000)", "memory", "more memory"),
    ],
)
def test_a_crash_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: str, shown: str
) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    stand_in(monkeypatch, tmp_path, what)
    with pytest.raises(MediaError, match=shown) as refusal:
        sandbox.run_task("probe", path, limits=DEFAULT_LIMITS, seconds=30)
    assert code_of(refusal) == code


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> None:
    """Let the child's probe do something else: a package in front of the real one patches it."""
    folder = folder / "front"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import os, signal, sys
        sys.path.append({str(Path(__file__).parents[3])!r})
        from sunriza_assets.studio.media import probe
        def probe_in_process(path, limits):
            {body}
        probe.probe_in_process = probe_in_process
        """)
    )
    monkeypatch.setattr(sandbox, "_PACKAGE_ROOT", folder)


def test_the_child_knows_little_and_loads_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    command = (
        "import sys, sunriza_assets.studio.media.worker;"
        "print([m for m in ('cv2', 'dagster', 'torch', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", command],
        env=sandbox._environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    monkeypatch.setenv("OUR_BUCKET", "x")
    assert "OUR_BUCKET" not in sandbox._environment()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who would notice a call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video {port} RTP/AVP 96\r\n",
        "<MPD><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>",
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:{port}/"/></svg>',
    ],
)
def test_no_file_makes_a_call(tmp_path: Path, listener: socket.socket, content: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(content.format(port=listener.getsockname()[1]))
    with pytest.raises(MediaError):
        probe(path)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_an_external_reference_is_neither_called_nor_opened(
    tmp_path: Path, listener: socket.socket
) -> None:
    path = write(tmp_path / "a.mp4", Film())
    surgery.point_outside(path, f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp4".encode())
    with pytest.raises(MediaError, match="another file"):
        probe(path)
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """Whether anybody has opened secret.mp4, as Linux's inotify saw it."""
    secret = write(tmp_path / "secret.mp4", Film())
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(secret), 0x20) >= 0  # IN_OPEN

    def look() -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    yield look
    os.close(watch)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_no_file_opens_another(tmp_path: Path, opened: Callable[[], bool]) -> None:
    secret = tmp_path / "secret.mp4"
    secret.read_bytes()
    assert opened()  # the watch works
    url = f"file://{secret}"
    texts = (
        f"#EXTM3U\n#EXTINF:1,\n{url}\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
    )
    clips = [tmp_path / f"{i}.mp4" for i in range(len(texts))]
    for clip, text in zip(clips, texts, strict=True):
        clip.write_text(text)
    for itself in (0, 1, 6000):
        clips.append(write(tmp_path / f"dref_{itself}.mp4", Film()))
        surgery.point_outside(clips[-1], url.encode(), itself=itself)
    clips.append(write(tmp_path / "packed.mov", Film()))
    surgery.pack_index(surgery.point_outside(clips[-1], url.encode()))
    for clip in clips:
        for use in (conform, lambda path: trim(path, tmp_path / "made.mp4")):
            with pytest.raises(MediaError):
                use(clip)
        assert not opened(), clip.name


@pytest.mark.parametrize(
    "name", ["concat:a.mp4|a.mp4", "http://127.0.0.1:9/a.mp4", "pipe:0", "a.mp4\0", "nowhere.mp4"]
)
def test_a_path_is_only_ever_a_path(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.mp4", Film(count=2))
    with pytest.raises(MediaError) as refusal:
        probe(tmp_path / name)
    assert code_of(refusal) == "unreadable"


def test_a_pipe_or_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path, tmp_path / "pipe.mp4"):
        with pytest.raises(MediaError) as refusal:
            probe(path)
        assert code_of(refusal) == "unreadable"


def test_names_with_strange_letters_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2)).rename(tmp_path / "ü '\"$(x) %s:\n|.mp4")
    assert isinstance(probe(path), VideoInfo)
    assert trim(path, tmp_path / "ö ;,.mp4").frame_count == 2


CALLER = """
import sys
from pathlib import Path
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media import sandbox
sandbox._PACKAGE_ROOT = Path(sys.argv[1])
sandbox.run_task("probe", Path(sys.argv[2]), limits=DEFAULT_LIMITS, seconds=60,
             destination=Path(sys.argv[2]).with_name("b.mp4"))
"""
_AT_WORK = """
            import tempfile, time
            from pathlib import Path
            tempfile.mkstemp()
            path.with_name(f".b.mp4.{os.getpid()}.part").write_bytes(b"half")
            while True:
                time.sleep(1e-6)
"""
_SOON_S = 20.0
"""How long a child may outlive its parent: it takes milliseconds, and machines stall at times."""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_ends_with_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: int
) -> None:
    """However the parent ends, the child is gone soon, and with it whatever both had begun."""
    stand_in(monkeypatch, tmp_path, _AT_WORK)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    source = write(tmp_path / "a.mp4", Film(count=2))
    before = sorted(tmp_path.iterdir())
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(sandbox._PACKAGE_ROOT), str(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        wait_for(lambda: any(tmp_path.glob(".b.mp4.*.part")))
        assert len(list(temporary.rglob("tmp*"))) == 1
        children = psutil.Process(caller.pid).children(recursive=True)
        assert len(children) == 1
        caller.send_signal(end)
        wait_for(lambda: has_ended(children[0]), seconds=_SOON_S)
    finally:
        caller.kill()
        caller.wait()
    assert sorted(tmp_path.iterdir()) == before
    assert not list(temporary.iterdir())


def test_an_interrupted_wait_leaves_nothing(long_clip: Path, tmp_path: Path) -> None:
    """As when a run is cancelled: an exception in the thread that waits."""

    class CancelledError(Exception):
        pass

    def cancel(done: int, of: int) -> None:
        raise CancelledError

    before = time.monotonic()
    with pytest.raises(CancelledError):
        trim(long_clip, tmp_path / "b.mp4", progress=cancel)
    assert time.monotonic() - before < 30  # not the whole clip; the time itself is not tested
    assert not list(tmp_path.iterdir())
    assert not [c for c in psutil.Process().children() if "media.worker" in " ".join(c.cmdline())]


def test_several_threads_may_ask_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Film(count=3))
    found: list[int] = []

    def ask() -> None:
        info = probe(path)
        assert isinstance(info, VideoInfo)
        found.append(info.frame_count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [3] * 4


def test_a_destination_that_cannot_be_written_is_no_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Film(count=2))
    with pytest.raises(StoreError) as refusal:
        trim(path, tmp_path / "missing" / "b.mp4")
    assert refusal.value.code == "store.write"


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit of util-linux")
def test_a_full_disk_is_a_named_error_and_the_old_result_stays(
    long_clip: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "b.mp4"
    destination.write_bytes(b"the former result")
    command = [
        "prlimit", "--fsize=300000", sys.executable, "-c",
        "import sys, json\nfrom pathlib import Path\n"
        "from sunriza_assets.errors import StoreError\n"
        "from sunriza_assets.studio.media.trim import trim\n"
        "try:\n    trim(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except StoreError as error:\n    print(json.dumps([error.code, error.message]))\n",
        str(long_clip), str(destination),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, message = json.loads(done.stdout)
    assert code == "store.full", message
    assert destination.read_bytes() == b"the former result"
    assert len(list(tmp_path.iterdir())) == 1

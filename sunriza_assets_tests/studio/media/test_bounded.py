"""Memory does not grow with a clip's length nor with the number of jobs; refusals are cheap."""

import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import psutil
import pytest
from PIL import Image

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.conform import conform
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.extras import make_extras
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.picture import read_picture, write_picture
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.films import Film, Sound, ffmpeg, picture, write

MEASURED = """
import json, resource, sys, time
from pathlib import Path
begin = time.process_time()
try:
    {work}
    outcome = "done"
except Exception as error:
    outcome = getattr(error, "code", repr(error))
children = resource.getrusage(resource.RUSAGE_CHILDREN)
# Not ru_maxrss of this process: over exec it keeps the memory of the one that started it.
status = Path("/proc/self/status").read_text()
own = int(status.partition("VmHWM:")[2].split()[0])
peak = max(own, children.ru_maxrss)
spent = time.process_time() - begin + children.ru_utime + children.ru_stime
print(json.dumps([outcome, peak * 1024, spent]))
"""


def measured(work: str, *arguments: object) -> tuple[str, int, float]:
    """Run a line in a fresh process: its output, its or its child's peak memory, CPU seconds."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(work=work), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    outcome, peak, spent = json.loads(done.stdout.splitlines()[-1])
    return outcome, peak, spent


TRIM = (
    "from sunriza_assets.studio.media.trim import trim;"
    "trim(Path(sys.argv[1]), Path(sys.argv[2]), max_seconds=60)"
)
READ = (
    "from sunriza_assets.studio.media.frames import read_frames;"
    "sum(1 for _ in read_frames(Path(sys.argv[1])))"
)
ENCODE = (
    "from fractions import Fraction;"
    "from sunriza_assets.studio.media.frames import read_frames;"
    "from sunriza_assets.studio.media.encode import encode;"
    "small = (frame[::2, ::2].copy() for frame in read_frames(Path(sys.argv[1])));"
    "encode(small, Path(sys.argv[2]), rate=Fraction(30))"
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """720p clips of 10 and 60 s with sound, as a phone makes them."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for seconds in (10, 60):
        made[seconds] = folder / f"{seconds}.mp4"
        pictures, sound = f"testsrc2=s=1280x720:r=30:d={seconds}", f"sine=d={seconds}"
        ffmpeg("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound,
               "-preset", "ultrafast", "-crf", "28", made[seconds])  # fmt: skip
    return made


@pytest.mark.slow
@pytest.mark.parametrize("work", [TRIM, READ, ENCODE], ids=["trim", "read", "encode"])
def test_memory_does_not_grow_with_length(
    clips: dict[int, Path], tmp_path: Path, work: str
) -> None:
    peaks = {}
    for seconds, clip in clips.items():
        outcome, peaks[seconds], _ = measured(work, clip, tmp_path / f"{seconds}.mp4")
        assert outcome == "done"
    assert peaks[60] <= 1.25 * peaks[10]
    assert peaks[60] <= 1_000_000_000


@pytest.mark.slow
def test_forty_jobs_leave_no_memory_behind(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", Film(count=20, sound=Sound(seconds=2)))
    write_picture(picture(1), tmp_path / "a.jpg")
    process = psutil.Process()

    def job() -> None:
        read_picture(tmp_path / "a.jpg")
        trim(clip, tmp_path / "b.mp4", max_seconds=1)
        encode(read_frames(tmp_path / "b.mp4"), tmp_path / "c.mp4", rate=Fraction(25))
        assert conform(tmp_path / "c.mp4").conforms
        make_extras(tmp_path / "c.mp4", tmp_path / "extras")

    for _ in range(5):  # caches fill and arenas settle
        job()
    before, files = process.memory_info().rss, process.num_fds()
    for _ in range(40):
        job()
    assert process.memory_info().rss - before <= 20_000_000
    assert process.num_fds() <= files
    assert not process.children()


_ONE_SHOT = (
    "from sunriza_assets.studio.media.{module} import {name};{name}(Path(sys.argv[1])" + "{more})"
)
_BOMBS = {
    "claims.png": lambda path: path.write_bytes(surgery.png_header(60_000, 60_000)),
    "deflated.png": lambda path: path.write_bytes(_black_png(8000, 8000)),
    "canvas.webp": lambda path: path.write_bytes(surgery.webp_header(16383, 16383)),
    "scans.jpg": lambda path: path.write_bytes(surgery.jpeg_with_scans(_progressive(), 3000)),
}


def _progressive() -> bytes:
    """Nine megapixels of nothing; decoding 3000 scans of them takes 16 CPU seconds."""
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def _black_png(width: int, height: int) -> bytes:
    """64 megapixels of nothing in 60 kB: within the limits, so it has to be decoded."""
    import struct
    import zlib

    press = zlib.compressobj(9)
    body = b"".join(press.compress(b"\0" * (1 + 3 * width)) for _ in range(height)) + press.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("name", _BOMBS)
def test_picture_bombs_cost_little(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    _BOMBS[name](path)
    work = _ONE_SHOT.format(module="picture", name="read_picture", more="")
    outcome, peak, spent = measured(work, path)
    expected = {"deflated.png": "done", "scans.jpg": "media.too_complex"}
    assert outcome == expected.get(name, "media.too_many_pixels")
    assert peak <= 1_500_000_000
    assert spent <= 5


def test_a_clip_of_a_million_tiny_packets_is_given_up(tmp_path: Path) -> None:
    """Forty megabytes of index: the table of samples is stretched without any media."""
    path = write(tmp_path / "a.mp4", Film(count=30))
    _inflate_sample_table(path, 1_500_000)
    work = _ONE_SHOT.format(module="probe", name="probe", more="")
    outcome, peak, spent = measured(work, path)
    assert outcome in ("media.too_long", "media.timeout", "media.unreadable", "media.memory",
                    "media.truncated", "media.damaged")  # fmt: skip
    assert peak <= 1_500_000_000
    assert spent <= 6  # four for the child, and two starts of Python


def _inflate_sample_table(path: Path, count: int) -> None:
    """Claim so many samples of a few bytes each, in the run-length tables that cost nothing."""
    import struct

    for kind, at in ((b"stsz", 8), (b"stts", 8), (b"stsc", 12)):
        for box in surgery.boxes_named(path, kind):
            surgery.patch(path, box.body + at, struct.pack(">I", count))
            if kind == b"stsz":
                surgery.patch(path, box.body + 4, struct.pack(">I", 1))


def test_a_huge_frame_in_a_small_clip_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=8208x64:r=25:d=0.1", "-preset", "ultrafast", path)
    outcome, _, spent = measured(_ONE_SHOT.format(module="probe", name="probe", more=""), path)
    assert outcome == "media.too_many_pixels"
    assert spent <= 5


def test_refusing_costs_the_parent_nothing_it_keeps(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\0\0isom")
    process = psutil.Process()
    for _ in range(3):
        with pytest.raises(MediaError):
            trim(path, tmp_path / "b.mp4")
    before = process.num_fds()
    for _ in range(5):
        with pytest.raises(MediaError):
            trim(path, tmp_path / "b.mp4")
    assert process.num_fds() == before

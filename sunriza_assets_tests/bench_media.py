"""The figures of docs/media.md: `python -m sunriza_assets_tests.bench_media`.

Each job runs in a fresh process; memory is the peak of that process or of its child, whichever is
larger, time is processor time of both. Prints Markdown.
"""

import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.studio.media.films import ffmpeg
from sunriza_assets_tests.studio.media.hostile_corpus import REFUSED
from sunriza_assets_tests.studio.media.picture_corpus import BAD
from sunriza_assets_tests.studio.media.test_bounded import READ, TRIM, measured

PROBE = "from sunriza_assets.studio.media.probe import probe; probe(Path(sys.argv[1]))"
PICTURE = (
    "from sunriza_assets.studio.media.picture import read_picture; read_picture(Path(sys.argv[1]))"
)
REENCODE = (
    "from fractions import Fraction;"
    "from sunriza_assets.studio.media.frames import read_frames;"
    "from sunriza_assets.studio.media.encode import encode;"
    "encode(read_frames(Path(sys.argv[1])), Path(sys.argv[2]), rate=Fraction(25))"
)
CUT = TRIM.replace("max_seconds=60", "max_seconds=10")

CLIPS = {
    "512x512, 25 fps, H.264": ("512x512", 25, 10, ["-preset", "veryfast"]),
    "1280x720, 30 fps, H.264": ("1280x720", 30, 10, ["-preset", "veryfast"]),
    "1280x720, 30 fps, 60 s": ("1280x720", 30, 60, ["-preset", "ultrafast"]),
    "1920x1080, 30 fps, H.264": ("1920x1080", 30, 10, ["-preset", "veryfast"]),
    "3840x2160, 30 fps, HEVC 10 bit PQ": (
        "3840x2160", 30, 10,
        ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params",
         "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"]),
}  # fmt: skip


def rows(folder: Path) -> Iterator[tuple[str, str, int, float]]:
    """(what, what came of it, bytes of memory, CPU seconds)."""
    for name, (size, rate, seconds, options) in CLIPS.items():
        clip = folder / "clip.mp4"
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", "-f", "lavfi", "-i",
               f"sine=d={seconds}", *options, "-b:v", "5M", clip)  # fmt: skip
        yield f"probe, {name}", *measured(PROBE, clip)
        work = TRIM if seconds == 60 else CUT
        yield f"trim, {name}", *measured(work, clip, folder / "cut.mp4")
        if size != "3840x2160":
            yield f"read the trimmed clip, {name}", *measured(READ, folder / "cut.mp4")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=512x512:r=25:d=10", "-preset", "veryfast", clip)
    yield "read and encode 250 frames, 512x512", *measured(REENCODE, clip, folder / "idle.mp4")


def refusals(folder: Path) -> Iterator[tuple[str, str, int, float]]:
    """Every refused file of the corpus, through the child."""
    for clip in REFUSED:
        path = folder / clip.name
        clip.build(path)
        yield clip.name, *measured(CUT, path, folder / "cut.mp4")
    for picture in BAD:
        path = folder / picture.name
        picture.build(path)
        yield picture.name, *measured(PICTURE, path)


def likeness(clip: Path, folder: Path) -> str:
    """Size and similarity of a clip's first ten seconds, encoded as an idle."""
    cut = folder / "real.mp4"
    info = trim(clip, cut, max_side=512)
    writer = VideoWriter(folder / "r.mp4", rate=info.rate, key_frame_s=3600, published=True)
    with writer:
        for frame in read_frames(cut):
            writer.write(frame)
    quality = writer.quality
    return (
        f"| {clip.stem}, {info.width}x{info.height}, {float(info.duration):.1f} s | "
        f"{quality.size_bytes / 1e6:.2f} MB of {quality.budget_bytes / 1e6:.2f} | "
        f"{quality.mean_ssim:.4f} | {quality.lowest_ssim:.4f} |"
    )


def main() -> None:
    """Print all figures."""
    out = sys.stdout.write
    out(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}\n\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out("| job | result | peak memory, MB | CPU, s |\n|---|---|---|---|\n")
        for what, told, peak, spent in rows(folder):
            out(f"| {what} | {told} | {peak / 1e6:.0f} | {spent:.1f} |\n")
        found = [(spent, peak, what) for what, _, peak, spent in refusals(folder)]
        out(f"\n{len(found)} refusals: at most {max(found)[0]:.1f} s ({max(found)[2]}), ")
        out(f"{max(peak for _, peak, _ in found) / 1e6:.0f} MB\n")
        if len(sys.argv) > 1:
            out("\n| clip | size | mean SSIM | lowest |\n|---|---|---|---|\n")
        for clip in map(Path, sys.argv[1:]):
            out(likeness(clip, folder) + "\n")


if __name__ == "__main__":
    main()

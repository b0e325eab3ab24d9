"""Two fields of a moving picture become one frame without a comb, wherever in a clip they begin."""

from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.studio.media.films import Image, ffmpeg

_BARS = "geq=lum='if(lt(mod(X-6*N,48),24),220,30)':cb=128:cr=128,format=yuv420p"
"""Upright bars that run to the right, six pixels a step."""


def bars(path: Path, *, fields: str | None, frames: int = 8) -> Path:
    """A clip of 25 frames a second; with fields ("tff", "bff") each frame shows two moments."""
    weave = {"tff": "tinterlace=mode=interleave_top,", "bff": "tinterlace=mode=interleave_bottom,"}
    rate = 50 if fields else 25
    ffmpeg("-f", "lavfi", "-i", f"nullsrc=s=192x96:r={rate}:d={frames / 25},{_BARS}",
           "-vf", f"{weave.get(fields or '', '')}setfield={fields or 'prog'}",
           "-c:v", "libx264", "-crf", "8", "-preset", "veryfast",
           "-x264-params", f"{f'{fields}=1:' if fields else ''}bframes=0", path)  # fmt: skip
    return path


def comb(frames: list[Image]) -> float:
    """How much each row differs from its neighbours above and below, 0-255."""
    rows = np.stack(frames).astype(np.float32).mean(axis=-1)
    return float(np.abs(rows[:, 1:-1] - (rows[:, :-2] + rows[:, 2:]) / 2).mean())


@pytest.mark.parametrize("fields", ["tff", "bff"])
def test_fields_leave_no_comb(tmp_path: Path, fields: str) -> None:
    source = bars(tmp_path / "a.mp4", fields=fields)
    info = trim(source, tmp_path / "b.mp4")
    assert (info.frame_count, info.rate, info.interlaced) == (8, 25, False)
    frames = list(read_frames(tmp_path / "b.mp4"))
    assert comb(frames) < 1
    assert min(frame.std() for frame in frames) > 60  # the bars are still there


@pytest.mark.parametrize("order", [(None, "tff"), ("bff", None), (None, "bff", None)])
def test_fields_may_begin_and_end_midway(tmp_path: Path, order: tuple[str | None, ...]) -> None:
    """As when a recorder switches: whole frames keep every row, fields lose their comb."""
    parts = [bars(tmp_path / f"{i}.h264", fields=fields) for i, fields in enumerate(order)]
    (tmp_path / "all.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    ffmpeg("-f", "h264", "-r", "25", "-i", tmp_path / "all.h264", "-c", "copy", "-bsf:v",
           "setts=pts=N:dts=N:time_base=1/25", tmp_path / "a.mkv")  # fmt: skip
    assert trim(tmp_path / "a.mkv", tmp_path / "b.mp4").frame_count == 8 * len(order)
    assert comb(list(read_frames(tmp_path / "b.mp4"))) < 1

"""Colour on its way to SDR bt709, against FFmpeg's own zscale and tonemap."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.studio.media.colour import Conversion, convert, matrix_for
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media.probe import probe_in_process
from sunriza_assets.studio.media.trim import trim
from sunriza_assets_tests.studio.media.films import Film, ffmpeg, write

PQ, HLG = "smpte2084", "arib-std-b67"
_REFERENCE = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)


def luma_of(path: Path) -> float:
    frames = np.stack(list(read_frames(path)))
    return float((frames @ np.array([0.2126, 0.7152, 0.0722])).mean())


_MASTERED = (
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    ":max-cll=4000,400"
)


_PATTERNS = ("testsrc2", "smptehdbars", "color=0x902010", "color=0x10a0f0")


@pytest.mark.parametrize(
    ("transfer", "mastered", "pattern"),
    [(transfer, "", pattern) for transfer in (PQ, HLG) for pattern in _PATTERNS]
    + [(PQ, _MASTERED, "smptehdbars")],
)
def test_mean_luma_of_hdr_is_the_references(
    tmp_path: Path, transfer: str, mastered: str, pattern: str
) -> None:
    source, reference = tmp_path / "hdr.mp4", tmp_path / "reference.mp4"
    join = ":" if "=" in pattern else "="
    ffmpeg(
        "-f", "lavfi", "-i", f"{pattern}{join}s=320x180:r=25:d=0.2", "-vf",
        f"format=gbrp16le,setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=gbr:"
        "range=full,zscale=m=2020_ncl:r=limited:min=gbr,format=yuv420p10le",
        "-c:v", "libx265", "-x265-params",
        f"log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
        f"{mastered}",
        "-crf", "4", "-preset", "ultrafast", source,
    )  # fmt: skip
    ffmpeg("-i", source, "-vf", _REFERENCE, "-crf", "2", "-preset", "ultrafast", "-colorspace",
           "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", reference)  # fmt: skip
    info = probe_in_process(source, DEFAULT_LIMITS)
    assert getattr(info, "is_hdr", False)
    trimmed = trim(source, tmp_path / "sdr.mp4")
    assert (trimmed.colour_transfer, trimmed.is_hdr, trimmed.bit_depth) == ("bt709", False, 8)
    assert luma_of(tmp_path / "sdr.mp4") == pytest.approx(luma_of(reference), rel=0.03)


def test_grey_of_pq_by_hand() -> None:
    """BT.2408: diffuse white of 203 cd/m2 has the PQ code 0.58; black and peak are the ends."""
    conversion = Conversion(PQ, "bt2020")
    grey = convert(np.array([[0.0] * 3, [0.5807] * 3, [0.7518] * 3, [1.0] * 3]), conversion)
    assert np.allclose(grey[:, 0], grey[:, 1])
    assert np.allclose(grey[:, 1], grey[:, 2], atol=1e-6)
    assert grey[0, 0] == pytest.approx(0, abs=1e-3)
    assert grey[2, 0] == pytest.approx(1, abs=2e-3)  # 1000 cd/m2, the peak
    assert grey[3, 0] == 1
    assert 0.6 < grey[1, 0] < 0.8


@pytest.mark.parametrize("transfer", [PQ, HLG, "sdr"])
def test_brighter_never_becomes_darker(transfer: str) -> None:
    codes = np.linspace(0, 1, 200)[:, None].repeat(3, axis=1)
    out = convert(codes, Conversion(transfer, "bt2020"))
    assert (np.diff(out[:, 1]) >= -1e-9).all()
    assert ((out >= 0) & (out <= 1)).all()


def test_wide_gamut_keeps_grey_and_makes_colours_stronger() -> None:
    codes = np.array([[0.5] * 3, [0.5, 0.3, 0.3]])
    for primaries in ("bt2020", "smpte432"):
        out = convert(codes, Conversion("sdr", primaries))
        assert np.allclose(out[0], 0.5, atol=1e-6)
        assert out[1, 0] > 0.5
        assert out[1, 1] < 0.3


def test_what_needs_no_conversion_gets_none() -> None:
    assert Conversion.of("bt709", "bt709") is None
    assert Conversion.of("unknown", "unknown") is None
    assert Conversion.of("smpte170m", "smpte170m") is None
    assert Conversion.of(HLG, "unknown") == Conversion(HLG, "bt2020")
    assert Conversion.of(PQ, "smpte432") == Conversion(PQ, "smpte432")


def test_a_clip_that_does_not_say_is_read_as_players_read_it() -> None:
    assert matrix_for("unknown", short_side=480) == "smpte170m"
    assert matrix_for("unknown", short_side=720) == "bt709"
    assert matrix_for("bt470bg", short_side=1080) == "smpte170m"
    assert matrix_for("bt2020nc", short_side=100) == "bt2020"


def test_a_transparent_clip_stands_on_grey(tmp_path: Path) -> None:
    plain, clip = write(tmp_path / "a.mp4", Film(count=4)), tmp_path / "b.mov"
    ffmpeg("-i", plain, "-vf", "format=yuva444p10le,geq=lum='p(X,Y)':a='if(lt(X,48),1023,0)'",
           "-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le", clip)  # fmt: skip
    info = trim(clip, tmp_path / "c.mp4")
    assert info.rate == Fraction(25)
    for frame in read_frames(tmp_path / "c.mp4"):
        assert np.abs(frame[:, 60:].astype(int) - 128).max() < 8
        assert frame[:20, 8:40, 0].mean() > 200  # the red corner is still there

"""Every clip of the corpus has exactly the outcome its row promises."""

from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media.trim import MAX_SIDE, trim, trim_in_process
from sunriza_assets_tests.studio.media.cases import Case, Refused, Shown
from sunriza_assets_tests.studio.media.clip_corpus import SHOWN
from sunriza_assets_tests.studio.media.films import clicks_in, corner_error, number_of
from sunriza_assets_tests.studio.media.hostile_corpus import REFUSED


def trim_here(case: Case, source: Path, destination: Path) -> VideoInfo:
    """Trim in this process: the child is tested elsewhere, and starting it takes longest."""
    return trim_in_process(
        source,
        destination,
        start=str(case.start),
        max_seconds=str(case.seconds),
        keep_audio=True,
        max_side=MAX_SIDE,
        limits=DEFAULT_LIMITS,
        accept=lambda: None,
        progress=lambda done, total: None,
    )


@pytest.mark.parametrize("case", (*SHOWN, *REFUSED), ids=lambda case: case.name)
def test_outcome(case: Case, tmp_path: Path) -> None:
    source, destination = tmp_path / case.name, tmp_path / "trimmed.mp4"
    case.build(source)
    if isinstance(case.outcome, Refused):
        with pytest.raises(MediaError) as refusal:
            trim_here(case, source, destination)
        assert refusal.value.code == f"media.{case.outcome.code}", refusal.value
        assert not destination.exists()
    else:
        check_shown(case.outcome, trim_here(case, source, destination), destination)
    assert not list(tmp_path.glob(".*"))


def some_of_each() -> list[Case]:
    """Each third clip that is shown, and one that is refused for each reason."""
    refused = {case.outcome: case for case in REFUSED}
    return [*SHOWN[::3], *refused.values()]


@pytest.mark.slow
@pytest.mark.parametrize("case", some_of_each(), ids=lambda case: case.name)
def test_outcome_in_the_child(case: Case, tmp_path: Path) -> None:
    source, destination = tmp_path / case.name, tmp_path / "trimmed.mp4"
    case.build(source)
    if isinstance(case.outcome, Refused):
        with pytest.raises(MediaError) as refusal:
            trim(source, destination, start=case.start, max_seconds=case.seconds)
        assert refusal.value.code == f"media.{case.outcome.code}", refusal.value
    else:
        info = trim(source, destination, start=case.start, max_seconds=case.seconds)
        check_shown(case.outcome, info, destination)


def check_shown(outcome: Shown, info: VideoInfo, path: Path) -> None:
    frames = list(read_frames(path))
    assert [number_of(frame) for frame in frames] == list(outcome.numbers)
    assert (info.rate, info.constant_rate) == (outcome.rate, True)
    assert info.duration == len(outcome.numbers) / outcome.rate
    assert info.size == outcome.size
    assert (info.codec, info.profile, info.pixel_format) == ("h264", "High", "yuv420p")
    assert (info.rotation, info.mirrored, info.sample_aspect) == (0, False, 1)
    assert max(corner_error(frame) for frame in frames) <= outcome.colour
    if outcome.clicks is not None:
        assert np.allclose(clicks_in(path), outcome.clicks, atol=0.02)

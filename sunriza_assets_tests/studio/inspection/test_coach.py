"""The coach names what has been spoilt, and has nothing to say about what is good."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.inspection import Finding, inspect_inputs, refusal
from sunriza_assets.studio.inspection.coach import inspect_clip, inspect_portrait
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.limits import Limits
from sunriza_assets.studio.sample.clip import PerformanceRenderer, Sample, sample_portrait
from sunriza_assets.studio.sample.performance import perform

Image = NDArray[np.uint8]


@pytest.fixture(scope="session")
def mesh(models_root: Path) -> FaceMesh:
    return FaceMesh(ModelStore(models_root))


@pytest.fixture(scope="session")
def stage(models_root: Path) -> PerformanceRenderer:
    return PerformanceRenderer(sample_portrait(), ModelStore(models_root))


@pytest.fixture(scope="session")
def clip(sample: Sample) -> list[Image]:
    """The first two seconds of the sample clip."""
    return [frame for _, frame in zip(range(50), read_frames(sample.clip), strict=False)]


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def shrunk(image: Image, scale: float) -> Image:
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def leaning(image: Image, degrees: float) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=border))


SPOILT: Final[dict[str, tuple[Callable[[Image], Image], str]]] = {
    "shrunk to 40 px": (lambda image: shrunk(image, 0.39), "too_small"),
    "shrunk to 17 px": (lambda image: shrunk(image, 0.165), "too_small"),
    "in a third of the light": (lambda image: np.uint8(image * 0.3), "dark"),
    "in a fifth of the light": (lambda image: np.uint8(image * 0.2), "dark"),
    "blurred": (lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 3.1)), "blurred"),
    "leaning left": (lambda image: leaning(image, 30), "leaning"),
    "leaning right": (lambda image: leaning(image, -30), "leaning"),
    "twice": (lambda image: np.hstack([image, image]), "several"),
    "cut through": (lambda image: np.ascontiguousarray(image[:, 225:]), "cut_off"),
    "nobody": (np.zeros_like, "no_face"),
}


def test_nothing_is_said_of_a_good_portrait_and_clip(sample: Sample, mesh: FaceMesh) -> None:
    assert inspect_inputs(mesh, portrait=sample.portrait, clip=sample.clip) == []


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
def test_nor_of_it_at_another_size(mesh: FaceMesh, scale: float) -> None:
    size = round(512 * scale)
    image = cv2.resize(sample_portrait(), (size, size), interpolation=cv2.INTER_AREA)
    assert inspect_portrait(np.asarray(image), mesh) == []


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_spoilt_is_named(mesh: FaceMesh, name: str) -> None:
    spoil, code = SPOILT[name]
    findings = inspect_portrait(np.asarray(spoil(sample_portrait()), np.uint8), mesh)
    assert codes(findings) == {code}
    (finding,) = findings
    assert finding.subject == "portrait"
    refused = code in ("several", "no_face") or name == "shrunk to 17 px"
    assert finding.severity == ("refuse" if refused else "advise")
    assert finding.sentence.endswith(".")


def test_a_turned_head_shut_eyes_and_a_wide_open_mouth(
    stage: PerformanceRenderer, mesh: FaceMesh
) -> None:
    still = perform(seconds=Fraction(1, 25))
    names = list(VISEMES)
    wide = np.zeros_like(still.visemes)
    wide[:, names.index("AI")], wide[:, names.index("Rest")] = 3.0, -2.0
    played = {
        "turned": replace(still, yaw=np.full(1, 0.6)),
        "eyes_closed": replace(still, closure=np.ones(1)),
        "mouth_open": replace(still, visemes=wide),
    }
    for code, performance in played.items():
        (frame,) = stage.frames(performance)
        assert code in codes(inspect_portrait(frame, mesh)), code
    (frame,) = stage.frames(replace(still, yaw=np.full(1, 0.2)))
    assert inspect_portrait(frame, mesh) == []


def written(path: Path, frames: Iterator[Image] | list[Image], rate: int = 25) -> Path:
    with VideoWriter(path, rate=Fraction(rate), encoder="libx264") as writer:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame))
    return path


def test_a_clip_that_is_too_long_is_said_to_be_cut(sample: Sample, mesh: FaceMesh) -> None:
    (finding,) = inspect_clip(sample.clip, mesh, limits=Limits(clip_seconds=4.0))
    assert (finding.code, finding.severity) == ("too_long", "advise")
    assert "6.0 s long and will be cut to its first 4 s" in finding.sentence


def test_a_short_clip_is_advised_against(clip: list[Image], mesh: FaceMesh, tmp_path: Path) -> None:
    (finding,) = inspect_clip(written(tmp_path / "short.mp4", clip), mesh)
    assert (finding.code, finding.severity) == ("too_short", "advise")
    assert finding.value == pytest.approx(2.0)


def test_a_clip_of_two_faces(clip: list[Image], mesh: FaceMesh, tmp_path: Path) -> None:
    both = [np.hstack([frame, frame]) for frame in clip]
    assert codes(inspect_clip(written(tmp_path / "two.mp4", both), mesh)) == {
        "several",
        "too_short",
    }


def test_a_clip_without_a_face_is_refused(mesh: FaceMesh, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (20, 128, 128, 3), np.uint8)
    findings = inspect_clip(written(tmp_path / "noise.mp4", list(noise)), mesh)
    assert {"no_face"} == {one.code for one in findings if one.severity == "refuse"}


def test_a_face_that_goes_away_is_refused(sample: Sample, mesh: FaceMesh, tmp_path: Path) -> None:
    """Two seconds here, a second of nothing, two seconds there: nothing to make a loop of."""
    frames = list(read_frames(sample.clip))[:125]
    frames[50:75] = [np.zeros_like(frames[0])] * 25
    findings = inspect_clip(written(tmp_path / "away.mp4", frames), mesh)
    assert codes(findings) == {"face_lost"}
    assert "2 s at most" in findings[0].sentence


def test_a_small_dark_clip(clip: list[Image], mesh: FaceMesh, tmp_path: Path) -> None:
    spoilt = [np.asarray(shrunk(frame, 0.3) * 0.3, np.uint8)[:152, :152] for frame in clip]
    findings = inspect_clip(written(tmp_path / "small.mp4", spoilt), mesh)
    assert codes(findings) == {"too_small", "dark", "too_short"}


def test_what_cannot_be_read_is_a_finding_of_both(mesh: FaceMesh, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"text")
    (tmp_path / "a.mp4").write_bytes(b"")
    findings = inspect_inputs(mesh, portrait=tmp_path / "a.jpg", clip=tmp_path / "a.mp4")
    assert [(one.subject, one.code) for one in findings] == [
        ("portrait", "media.unsupported"),
        ("clip", "media.empty"),
    ]
    error = refusal(findings)
    assert error is not None
    assert error.code == "media.unsupported"
    assert str(tmp_path) not in error.public


def test_advice_is_no_refusal() -> None:
    """The control: an error only where something cannot work."""
    assert refusal([Finding("portrait", "dark", "advise", "It is dark.")]) is None

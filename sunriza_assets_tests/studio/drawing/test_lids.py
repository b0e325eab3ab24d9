"""Eyes redrawn: lids of the person's own skin, whole irises over a white without one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.eye_frame import EyeFrame
from sunriza_assets.studio.drawing.lids import Eye
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.drawing.skin import luma
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.measures import eye_apertures

STILL = np.zeros(2)


@pytest.mark.parametrize("side", [0, 1])
def test_a_shut_lid_has_the_light_of_the_skin_around_it(
    portrait: Image, landmarks: NDArray[np.float64], side: int
) -> None:
    """The control is the open eye, whose iris and lashes are far darker."""
    frame, eye = EyeFrame(landmarks, side, portrait), Eye(landmarks, side, portrait)
    opened = (frame.y > frame.upper) & (frame.y < frame.upper + 0.75 * (frame.lower - frame.upper))
    around = (frame.y > frame.lower + 0.3 * frame.lid) & (frame.y < frame.lower + 0.8 * frame.lid)
    around &= (frame.x > 0.0) & (frame.x < frame.width)
    shut = eye.draw(1.0, STILL)
    assert shut is not None
    usual = float(np.median(luma(portrait[frame.window][around])))
    ours, theirs = (luma(picture[opened]) for picture in (shut, portrait[frame.window]))
    assert np.percentile(ours, 10) > 0.6 * usual > np.percentile(theirs, 10)


def test_an_independent_detector_sees_the_eyes_shut(
    rig: PortraitRig, independent: IndependentFaceMesh
) -> None:
    open_, half, shut = (
        eye_apertures(independent.portrait(rig.draw(rig.mesh, closure=(c, c))).points).mean()
        for c in (0.0, 0.5, 1.0)
    )
    assert open_ > half > shut
    assert shut < 0.5 * open_


@pytest.mark.parametrize("side", [0, 1])
def test_irises_go_as_far_as_they_are_asked_to(
    portrait: Image, landmarks: NDArray[np.float64], side: int
) -> None:
    """By where it is dark between the lids. Landmarks read back two thirds of a shift."""
    frame, eye = EyeFrame(landmarks, side, portrait), Eye(landmarks, side, portrait)
    depth = (frame.y - frame.upper) / np.maximum(frame.lower - frame.upper, 1.0)
    inside = (depth > 0.3) & (depth < 0.9) & (frame.x > 0.0) & (frame.x < frame.width)

    def dark_at(gaze: float) -> float:
        drawn = eye.draw(0.0, np.array([gaze, 0.0]))
        assert drawn is not None
        light = luma(drawn)[inside]
        dark = np.maximum(np.percentile(light, 60) - light, 0.0)
        return float(dark @ frame.x[inside] / dark.sum() / frame.width)

    assert dark_at(0.12) - dark_at(-0.12) == pytest.approx(0.24, rel=0.2)
    assert dark_at(0.01) - dark_at(-0.01) < 0.06  # the control


def test_both_eyes_look_the_same_way_however_little_room_one_has(rig: PortraitRig) -> None:
    narrow, wide = (rig._within_eyes(np.full((2, 2), gaze)) for gaze in (0.05, 0.6))
    np.testing.assert_allclose(narrow[0], narrow[1])
    np.testing.assert_allclose(wide[0], wide[1])
    assert 0.15 < wide[0, 0] <= 0.24


def test_no_iris_leaves_its_eye(portrait: Image, landmarks: NDArray[np.float64]) -> None:
    for side in (0, 1):
        eye = Eye(landmarks, side, portrait)
        for far in (-1.0, 1.0):
            assert np.abs(eye.limited(np.array([far, far]))) == pytest.approx(
                [0.15, 0.10], abs=0.11
            )
        small = np.array([0.02, 0.01])
        np.testing.assert_allclose(eye.limited(small), small)

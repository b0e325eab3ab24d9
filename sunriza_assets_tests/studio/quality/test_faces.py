"""Figures of what viewers notice first: each has a control that must fail its bar."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image, VisemeCells
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.quality import faces
from sunriza_assets.studio.quality.bars import BARS


def limit(figure: str) -> float:
    return next(bar.limit for bar in BARS if bar.figure == figure)


def opened(rig: PortraitRig) -> tuple[Image, NDArray[np.float64]]:
    """The portrait with its mouth wide open, and its landmarks."""
    points = rig.landmarks.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.14 * rig.iod
    return rig.draw(points[:468]), points


def test_teeth_are_told_apart_and_a_ball_a_slab_and_a_maw_are_not(rig: PortraitRig) -> None:
    picture, points = opened(rig)
    bar = limit("tooth detail in open mouths")
    shown = faces.tooth_detail([picture], points[None])
    assert shown is not None and shown > bar
    outline = np.concatenate([points[UPPER_LIP[-1], :2], points[LOWER_LIP[-1, ::-1], :2]])
    for colour in ((245, 245, 245), (190, 120, 115), (25, 8, 8)):
        spoiled = picture.copy()
        cv2.fillPoly(spoiled, [np.round(outline).astype(np.int32)], colour)
        found = faces.tooth_detail([cv2.GaussianBlur(spoiled, (0, 0), 1.0)], points[None])
        assert found is not None and found < bar, colour
    assert faces.tooth_detail([rig.image], np.zeros((0, 478, 3))) is None


def test_motion_that_is_halved_has_half_the_amplitude() -> None:
    curve = np.sin(np.linspace(0.0, 20.0, 200))
    assert faces.amplitude(curve, curve) == pytest.approx(1.0)
    assert faces.amplitude(curve, 0.5 * curve + 3.0) == pytest.approx(0.5)
    bars = [bar for bar in BARS if bar.figure == "eye amplitude over the clip's"]
    assert all(bar.holds(1.0) for bar in bars)
    for control in (0.5, 1.6):
        held = [bar.holds(faces.amplitude(curve, control * curve)) for bar in bars]
        assert not all(held), control


def cells(*, alike: tuple[str, str] | None = None) -> VisemeCells:
    """Twelve cells of noise, two of which may be alike."""
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 255, (40, 60, 3), dtype=np.uint8) for name in VISEMES}
    if alike:
        pictures[alike[1]] = pictures[alike[0]]
    lips = np.tile([[10.0, 10.0], [50.0, 30.0]], (12, 10, 1))
    return VisemeCells(pictures, Roi(0, 0, 60, 40), lips, iod=60.0)


def test_two_cells_that_look_alike_are_found_unless_lip_readers_confuse_them() -> None:
    bar = limit("least difference of two cells, grey levels")
    assert faces.cell_distance(cells()) > bar
    assert faces.cell_distance(cells(alike=("U", "WQ"))) > bar
    assert faces.cell_distance(cells(alike=("TH", "L"))) < bar


def test_a_frosted_plate_is_found() -> None:
    noise = np.random.default_rng(1).normal(128.0, 40.0, (200, 200, 3))
    picture = np.clip(noise, 0, 255).astype(np.uint8)
    alpha = np.zeros((200, 200), np.uint8)
    cv2.circle(alpha, (100, 100), 50, 255, -1)
    bar = limit("background texture over its surroundings")
    assert (faces.background_texture(picture, picture, alpha, 60.0) or 0.0) > bar
    frosted = cv2.GaussianBlur(picture, (0, 0), 6.0)
    assert (faces.background_texture(frosted, picture, alpha, 60.0) or 0.0) < bar
    assert faces.background_texture(picture, picture, np.zeros_like(alpha), 60.0) is None

"""The mouth of a photo that shows teeth: lips move over them, and close without a trace of them."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.mouth import MouthPainter
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.expression.lip_shapes import shape_lips
from sunriza_assets.studio.expression.lips import SEAM
from sunriza_assets.studio.expression.visemes import VISEMES, LipShape
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP

LIPS, TEETH, CAVITY = (150, 80, 80), (240, 235, 225), (40, 10, 12)


def read(picture: Image, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M, 3) colours at (N, M, 2) continuous pixels."""
    return read_at(picture, (places - 0.5).astype(np.float32)).astype(float)


def grinning(
    portrait: Image, landmarks: NDArray[np.float64], *, teeth: float = 1.0, cavity: float = 0.0
) -> tuple[Image, NDArray[np.float64]]:
    """A drawn mouth, wide open: teeth from above, a cavity, and teeth again; its landmarks.

    Args:
        portrait: whose mouth it takes the place of.
        landmarks: theirs.
        teeth: share of the opening that the upper ones take up.
        cavity: share of it below them.
    """
    points, picture = landmarks.copy(), portrait.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.1 * np.linalg.norm(points[33] - points[263])
    fill(picture, points[UPPER_LIP[0], :2], points[LOWER_LIP[0], :2], LIPS)
    upper, lower = points[UPPER_LIP[-1], :2], points[LOWER_LIP[-1], :2]
    fill(picture, upper, lower, TEETH)
    below = [upper + share * (lower - upper) for share in (teeth, teeth + cavity)]
    fill(picture, *below, CAVITY)
    return picture, points


def fill(
    picture: Image,
    above: NDArray[np.float64],
    below: NDArray[np.float64],
    colour: tuple[int, int, int],
) -> None:
    """Paint what is between two rows of (N, 2) pixels."""
    outline = np.round(np.concatenate([above, below[::-1]]) * 16 - 8).astype(np.int32)
    cv2.fillPoly(picture, [outline], colour, cv2.LINE_AA, shift=4)


def test_lips_close_without_a_trace_of_teeth(
    portrait: Image, landmarks: NDArray[np.float64]
) -> None:
    """A warp alone leaves a bright jagged line where the teeth were pressed together."""
    rig = PortraitRig(*grinning(portrait, landmarks))
    shut = shape_lips(rig.mesh, VISEMES["MBP"], seam=rig.mouth.seam)
    line = shut[UPPER_LIP[-1, 3:8], :2]
    across = np.linspace(-0.03, 0.03, 13)[:, None, None] * [0.0, rig.iod]
    white = read(rig.draw(shut), line + across).min(axis=2)
    assert white.max() < 0.5 * (min(LIPS) + min(TEETH))
    assert (white.min(axis=0) < 0.8 * min(LIPS)).all(), "a line parts the lips"


def test_teeth_stand_still_while_lips_narrow_over_them(rig: PortraitRig) -> None:
    narrow = shape_lips(rig.mesh, LipShape(opening=rig.mouth.opening, width=0.85))
    height = np.linspace(0.25, 0.65, 6)[:, None, None]
    upper, lower = (rig.mesh[rows[-1, 3:8], :2] for rows in (UPPER_LIP, LOWER_LIP))
    knots = np.linspace(0, len(upper) - 1, 60)
    upper, lower = (
        np.stack([np.interp(knots, np.arange(5), rim[:, axis]) for axis in (0, 1)], axis=1)
        for rim in (upper, lower)
    )
    places = upper + height * (lower - upper)
    before, after = (
        read(picture, places).mean(axis=2) for picture in (rig.image, rig.draw(narrow))
    )
    for row in range(len(before)):
        assert np.corrcoef(before[row], after[row])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("teeth", "cavity", "meets"),
    [
        (1.0, 0.0, (0.2, 0.7)),  # a smile: the upper lip comes down over its teeth
        (0.3, 0.7, (0.75, 1.0)),  # a mouth that speaks: the jaw rises
        (0.3, 0.4, (0.75, 1.0)),  # the same with its lower teeth in sight
    ],
)
def test_lips_meet_above_the_edge_of_the_upper_teeth(
    portrait: Image,
    landmarks: NDArray[np.float64],
    teeth: float,
    cavity: float,
    meets: tuple[float, float],
) -> None:
    picture, points = grinning(portrait, landmarks, teeth=teeth, cavity=cavity)
    assert meets[0] < MouthPainter(points, picture).seam < meets[1]


def test_lower_teeth_go_with_the_lower_lip(portrait: Image, landmarks: NDArray[np.float64]) -> None:
    rig = PortraitRig(*grinning(portrait, landmarks, teeth=0.45, cavity=0.25))
    points = rig.mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.08 * rig.iod
    drawn = rig.draw(points)
    upper, lower = points[UPPER_LIP[-1, 5], :2], points[LOWER_LIP[-1, 5], :2]
    inwards = np.array([0.0, 3.0])
    above, between, below = (
        read(drawn, place[None, None])[0, 0].mean()
        for place in (upper + inwards, 0.5 * (upper + lower), lower - inwards)
    )
    assert min(above, below) > 150
    assert between < 80


def test_a_closed_photo_says_nothing_about_teeth(
    portrait: Image, landmarks: NDArray[np.float64]
) -> None:
    points = landmarks.copy()
    points[LOWER_LIP[-1], :2] = points[UPPER_LIP[-1], :2]
    assert MouthPainter(points, portrait).seam == SEAM


def test_a_strip_of_teeth_gives_way_to_a_row(
    portrait: Image, landmarks: NDArray[np.float64]
) -> None:
    """What little a photo shows of its teeth would hang over a cavity in a mouth that opens."""
    rig = PortraitRig(*grinning(portrait, landmarks, teeth=0.22, cavity=0.78))
    points = rig.mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.12 * rig.iod
    lower = points[LOWER_LIP[-1, 4:7], :2] - [0.0, 0.03 * rig.iod]
    assert read(rig.draw(points), lower[None]).mean() > 1.5 * np.mean(CAVITY)
    rising = rig.mesh.copy()
    rising[np.unique(UPPER_LIP[:, 1:-1]), 1] -= 0.05 * rig.iod
    drawn = rig.draw(rising)
    upper = rising[UPPER_LIP[-1, 4:7], :2] + [0.0, 0.05 * rig.iod]
    assert read(drawn, upper[None]).min(axis=2).mean() > 90

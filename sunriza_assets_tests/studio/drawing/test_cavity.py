"""The painted mouth: light, shade and colour as a mouth has them, in mouths made of numbers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.cavity import (
    MouthInterior,
    paint_lifted_tongue,
    paint_throat,
    paint_tongue,
    paint_tongue_tip,
)
from sunriza_assets.studio.drawing.palette import Palette
from sunriza_assets.studio.drawing.skin import colourfulness, luma
from sunriza_assets.studio.drawing.teeth import UPPER_JAW, ToothRow

SKIN = np.array([220.0, 175.0, 150.0], np.float32)
LIPS = np.array([190.0, 110.0, 105.0], np.float32)
ROWS, COLUMNS = 60, 81
MIDDLE = COLUMNS // 2
Plane = NDArray[np.float32]


def mouth(opening: float, *, rises: float = 0.0, pursed: float = 0.0) -> MouthInterior:
    """A mouth of straight lips 0.6 IOD wide, `opening` IOD apart, the upper one risen."""
    down, x = np.meshgrid(
        (np.arange(ROWS) + 0.5) / ROWS * opening, np.linspace(-0.3, 0.3, COLUMNS), indexing="ij"
    )
    down, x = down.astype(np.float32), x.astype(np.float32)
    return MouthInterior(
        x=x,
        across=x,
        lower_x=x,
        side=np.abs(x) / np.float32(0.3),
        below_upper=down,
        above_lower=np.float32(opening) - down,
        below_root=down - np.float32(rises),
        opening=opening,
        pursed=pursed,
    )


def dark() -> Plane:
    return np.zeros((ROWS, COLUMNS, 3), np.float32)


@pytest.fixture
def palette() -> Palette:
    return Palette.of(SKIN, LIPS)


@pytest.fixture
def upper(palette: Palette) -> ToothRow:
    return ToothRow(UPPER_JAW, palette, blur=0.005, yaw=0.0)


def test_shadows_fall_next_to_lips_and_at_the_corners(palette: Palette) -> None:
    narrow, wide = (luma(mouth(opening).shadow(palette)) for opening in (0.05, 0.30))
    assert wide[ROWS // 2, MIDDLE] > 0.9
    assert narrow[0, MIDDLE] < 0.6
    assert narrow[0, MIDDLE] < wide[0, MIDDLE] < 0.8
    assert wide[ROWS // 2, 0] < 0.3
    assert (np.diff(wide[: ROWS // 2, MIDDLE]) >= 0).all()
    assert (np.diff(wide[ROWS // 2, MIDDLE:]) <= 1e-6).all()
    assert luma(mouth(0.05, pursed=1.0).shadow(palette)).max() < 0.6 * narrow.max()


def test_light_comes_from_the_side_that_it_comes_from_on_the_cheeks(palette: Palette) -> None:
    lit = luma(mouth(0.2).shadow(palette, side_light=1.0))[ROWS // 2]
    assert lit[MIDDLE + 15] > 1.2 * lit[MIDDLE - 15]


def test_a_throat_is_dark_in_its_middle_and_nowhere_black(palette: Palette) -> None:
    throat = luma(paint_throat(mouth(0.30), palette))
    assert throat[ROWS // 2, MIDDLE] < 0.4 * throat[ROWS // 2, 10]
    assert throat.min() > 1.0
    assert luma(paint_throat(mouth(0.05), palette)).mean() < 0.6 * throat.mean()


def test_a_tongue_is_brightest_on_its_dome(palette: Palette) -> None:
    inside = mouth(0.25)
    tongue = luma(
        paint_tongue(dark(), inside, palette, teeth=0.02, wet=np.zeros((ROWS, COLUMNS), np.float32))
    )
    column = tongue[:, MIDDLE + 6]
    brightest = int(np.argmax(column))
    assert 0.02 < inside.above_lower[brightest, 0] < 0.10
    assert column[-1] < 0.8 * column[brightest]
    assert column[0] == 0.0  # it does not reach the upper lip
    assert tongue[brightest, 12] < 0.8 * column[brightest]


def test_a_lifted_tongue_reaches_the_upper_teeth_and_one_between_them_covers_them(
    palette: Palette, upper: ToothRow
) -> None:
    inside = mouth(0.14)
    depth = np.float32(0.05) - inside.below_root
    edge = upper.below_edge(inside.x, depth, yaw=0.0)
    below_teeth = int(np.argmin(np.abs(edge[:, MIDDLE] - 0.01)))
    lifted = luma(paint_lifted_tongue(dark(), inside, palette))
    tip = luma(paint_tongue_tip(dark(), inside, palette, edge=edge, blur=0.005))
    resting = luma(
        paint_tongue(dark(), inside, palette, teeth=0.02, wet=np.zeros((ROWS, COLUMNS), np.float32))
    )
    assert resting[below_teeth, MIDDLE + 5] < 0.3 * lifted[below_teeth, MIDDLE + 5]
    assert tip[below_teeth, MIDDLE + 5] > 60.0
    assert tip[:below_teeth, MIDDLE + 5].min() == 0.0  # above their edge are the teeth


def test_teeth_belong_to_the_skull(palette: Palette, upper: ToothRow) -> None:
    """A rising lip bares teeth, a falling jaw adds none: they never stretch."""

    def bared(inside: MouthInterior) -> float:
        depth = np.float32(0.05) - inside.below_root
        cover = np.ones((ROWS, COLUMNS), np.float32)
        row = luma(upper.over(dark(), inside.x, depth, yaw=0.0, light=1.0, cover=cover))
        return float(np.count_nonzero(row[:, MIDDLE + 5] > 60.0) * inside.gap[0, 0] / ROWS)

    assert bared(mouth(0.30)) == pytest.approx(bared(mouth(0.15)), abs=0.006)
    assert bared(mouth(0.18, rises=0.03)) == pytest.approx(bared(mouth(0.15)) + 0.03, abs=0.008)


def test_a_row_has_separations_that_fade_where_the_portrait_is_too_coarse(palette: Palette) -> None:
    def contrast(blur: float) -> float:
        inside, row = mouth(0.1), ToothRow(UPPER_JAW, palette, blur=blur, yaw=0.0)
        cover = np.ones((ROWS, COLUMNS), np.float32)
        depth = np.full((ROWS, COLUMNS), 0.03, np.float32)
        line = luma(row.over(dark(), inside.x, depth, yaw=0.0, light=1.0, cover=cover))[0]
        return float(np.ptp(line[MIDDLE - 4 : MIDDLE + 5]) / line.max())

    assert contrast(0.0035) > 0.2
    assert 0.03 < contrast(0.016) < 0.75 * contrast(0.0035)


def test_a_turned_arch_shows_more_of_the_nearer_side(palette: Palette, upper: ToothRow) -> None:
    """The head turns to the picture's right; its left half comes forward and spreads."""
    inside, cover = mouth(0.1), np.ones((ROWS, COLUMNS), np.float32)
    depth = np.full((ROWS, COLUMNS), 0.04, np.float32)
    row = luma(upper.over(dark(), inside.x, depth, yaw=0.4, light=1.0, cover=cover))[0]
    assert row[:MIDDLE].mean() > 1.15 * row[MIDDLE + 1 :].mean()


def test_a_mouth_is_as_colourful_as_its_face() -> None:
    grey = Palette.of(np.full(3, 180.0, np.float32), np.full(3, 120.0, np.float32))
    assert max(colourfulness(part) for part in (grey.tongue, grey.throat, grey.teeth)) < 0.01
    pale = np.array([235.0, 228.0, 224.0], np.float32)
    painted = Palette.of(pale, np.array([210.0, 80.0, 70.0], np.float32))
    faded = Palette.of(pale, pale * np.float32(0.8))
    assert colourfulness(painted.tongue) > 1.5 * colourfulness(faded.tongue) > 0.0


def test_teeth_take_the_white_of_the_eyes() -> None:
    by_candle, by_day = (
        Palette.of(SKIN, LIPS, white=np.array(white, np.float32))
        for white in ((190.0, 150.0, 90.0), (190.0, 188.0, 186.0))
    )
    assert colourfulness(by_candle.teeth) > 1.2 * colourfulness(by_day.teeth)
    shadowed = Palette.of(SKIN, LIPS, white=np.full(3, 120.0, np.float32))
    assert luma(shadowed.teeth) < 0.95 * luma(by_day.teeth)

"""The painted mouth: light, shade and colour as a mouth has them, in mouths made of numbers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.cavity import (
    MouthInterior,
    Palette,
    paint_cavity,
    paint_tongue,
    paint_upper_teeth,
)
from sunriza_assets.studio.drawing.skin import colourfulness

SKIN = np.array([220.0, 175.0, 150.0], np.float32)
LIPS = np.array([190.0, 110.0, 105.0], np.float32)
ROWS, COLUMNS = 60, 81


def mouth(opening: float, *, rises: float = 0.0, pursed: float = 0.0) -> MouthInterior:
    """A mouth of straight lips 0.6 IOD wide, `opening` IOD apart, the upper one risen."""
    down, x = np.meshgrid(
        (np.arange(ROWS) + 0.5) / ROWS * opening, np.linspace(-0.3, 0.3, COLUMNS), indexing="ij"
    )
    down, x = down.astype(np.float32), x.astype(np.float32)
    return MouthInterior(
        x=x,
        side=np.abs(x) / np.float32(0.3),
        below_upper=down,
        above_lower=np.float32(opening) - down,
        below_root=down - np.float32(rises),
        roundness=0.0,
        pursed=pursed,
    )


def luma(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(picture.mean(axis=2))


@pytest.fixture
def palette() -> Palette:
    return Palette.of(SKIN, LIPS)


def test_shadows_fall_next_to_lips_and_at_the_corners(palette: Palette) -> None:
    shadow, wider = (luma(mouth(opening).shadow(palette)) for opening in (0.08, 0.25))
    assert shadow.max() == pytest.approx(1.0)
    middle = COLUMNS // 2
    assert shadow[0, middle] < 0.5
    assert shadow[-1, middle] < 0.5
    assert shadow[0, middle] < 0.7 * wider[0, middle] < 0.7
    assert shadow[ROWS // 2, 0] < 0.4
    assert (np.diff(shadow[: ROWS // 2, middle]) >= 0).all()
    assert (np.diff(shadow[ROWS // 2, middle:]) <= 0).all()


def test_a_tongue_is_brightest_on_its_dome(palette: Palette) -> None:
    inside = mouth(0.25)
    cavity = paint_cavity(inside, palette)
    tongue = luma(paint_tongue(cavity.copy(), inside, palette, raised=0.0, out=0.0))
    beside_furrow = COLUMNS // 2 + 6
    column = tongue[:, beside_furrow]
    brightest = int(np.argmax(column))
    assert 0.04 < inside.above_lower[brightest, beside_furrow] < 0.12
    assert column[-1] < 0.7 * column[brightest]
    assert column[0] == luma(cavity)[0, beside_furrow]  # it does not reach the upper lip
    assert tongue[brightest, 8] < 0.8 * column[brightest]


def test_a_lifted_tongue_reaches_the_upper_teeth(palette: Palette) -> None:
    inside = mouth(0.14)
    canvas = paint_cavity(inside, palette)
    place = int(np.argmin(np.abs(inside.below_upper[:, 0] - 0.05)))
    low, up, between = (
        luma(paint_tongue(canvas.copy(), inside, palette, raised=raised, out=out))[place, 50]
        for raised, out in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    assert low < 0.6 * up
    assert up < between


def test_teeth_belong_to_the_skull(palette: Palette) -> None:
    """A rising lip bares teeth, a falling jaw adds none: they never stretch."""

    def bared(inside: MouthInterior) -> float:
        dark = np.zeros((ROWS, COLUMNS, 3), np.float32)
        teeth = luma(paint_upper_teeth(dark, inside, palette, most=np.inf))
        seen = teeth[:, COLUMNS // 2 + 10] > 60.0
        return float(np.count_nonzero(seen) * inside.gap[0, 0] / ROWS)

    assert bared(mouth(0.30)) == pytest.approx(bared(mouth(0.15)), abs=0.006)
    assert bared(mouth(0.18, rises=0.03)) == pytest.approx(bared(mouth(0.15)) + 0.03, abs=0.008)
    assert bared(mouth(0.15, pursed=1.0)) < 0.6 * bared(mouth(0.15))


def test_a_mouth_is_as_colourful_as_its_face() -> None:
    grey = Palette.of(np.full(3, 180.0, np.float32), np.full(3, 120.0, np.float32))
    assert colourfulness(grey.tongue) < 0.01
    assert colourfulness(grey.cavity) < 0.01
    pale = np.array([235.0, 228.0, 224.0], np.float32)
    painted = Palette.of(pale, np.array([210.0, 80.0, 70.0], np.float32))
    faded = Palette.of(pale, pale * np.float32(0.8))
    assert colourfulness(painted.tongue) > 1.5 * colourfulness(faded.tongue) > 0.0


def test_little_light_gets_past_pursed_lips(palette: Palette) -> None:
    assert mouth(0.1).light_share == 1.0
    assert luma(mouth(0.1, pursed=1.0).light(palette)).max() < 0.55

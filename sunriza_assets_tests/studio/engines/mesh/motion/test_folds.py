"""Folds are found, untangled with little motion, and what cannot be is held back smoothly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.engines.mesh.motion.folds import Folds
from sunriza_assets.studio.engines.mesh.motion.jaw import Jaw, chin_share
from sunriza_assets.studio.engines.mesh.motion.moderation import moderate
from sunriza_assets.studio.engines.mesh.motion.perform import neutral_face
from sunriza_assets.studio.face.regions import LOWER_LIP

Array = NDArray[np.float64]
IOD = 100.0
CHIN, NOSE_BASE = 152, 2


@pytest.fixture(scope="module")
def mesh() -> Array:
    """A face from the front, pixels."""
    return IOD * neutral_face()[:468] + 300.0


def dropped(mesh: Array, fall: float) -> Array:
    """The mesh with its lower lip alone fallen by a share of the IOD."""
    points = mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += fall * IOD
    return points


def test_a_face_at_rest_or_turned_has_no_folds(mesh: Array) -> None:
    seen = Folds(mesh, IOD)
    assert not seen.of(mesh).any()
    assert seen.untangled(mesh, mesh) is mesh


def test_a_lip_over_a_chin_that_stands_still_folds_and_is_untangled(mesh: Array) -> None:
    seen, points = Folds(mesh, IOD), dropped(mesh, 0.33)
    assert np.count_nonzero(seen.of(points)) > 5  # the control: a torn chin
    mended = seen.untangled(points, mesh)
    assert np.count_nonzero(seen.of(mended)) <= 1
    moved = np.linalg.norm(mended - points, axis=1)
    assert np.count_nonzero(moved > 0.005 * IOD) < 120  # the rest of the face is left alone
    rims = np.linalg.norm((mended - points)[LOWER_LIP[-1, 2:-2]], axis=1)
    assert rims.max() < 0.06 * IOD


def test_a_wide_mouth_lowers_the_jaw(mesh: Array) -> None:
    jaw = Jaw(mesh, 0.3)

    def fall(opening: float) -> float:
        offsets = dropped(mesh, opening) - mesh
        lowered = jaw.lowered(offsets)
        np.testing.assert_allclose(lowered[NOSE_BASE], 0.0)
        return float((lowered[CHIN, 1]) / (opening * IOD))

    assert fall(0.04) == pytest.approx(0.3, abs=0.02)  # as the clip's own
    assert fall(0.30) == pytest.approx(0.85, abs=0.06)
    still = np.zeros((468, 3))
    assert jaw.lowered(still) is still


def test_the_share_of_the_chin_is_the_clips_own(mesh: Array) -> None:
    expression = np.zeros((12, 468, 3))
    lips = np.unique(LOWER_LIP[:, 1:-1])
    for frame in range(12):
        expression[frame, lips, 1] = 0.02 * frame
        expression[frame, [CHIN, 148, 377], 1] = 0.01 * frame
    assert chin_share(mesh, expression) == pytest.approx(0.5, abs=0.03)
    assert chin_share(mesh, np.zeros((12, 468, 3))) == 0.6


def test_a_lip_that_is_drawn_down_bares_its_teeth(mesh: Array) -> None:
    jaw, offsets = Jaw(mesh, 0.3), dropped(mesh, 0.05) - mesh
    assert jaw.bared(offsets) == pytest.approx(0.04, abs=0.005)
    offsets[[CHIN, 148, 377], 1] = 0.05 * IOD
    assert jaw.bared(offsets) == 0.0


def test_moderation_is_smooth_and_spares_the_other_half() -> None:
    """Frame 30 of 60 folds above 0.5 in the lower face."""

    def folded(shape: tuple[int, float]) -> tuple[int, int]:
        frame, share = shape
        return 0, 4 if frame == 30 and share > 0.5 else 0

    shapes, shares = moderate(
        lambda frame, shares: (frame, float(shares[1])), folded, 60, rate=25.0, loop=False
    )
    assert [folded(shape) for shape in shapes] == [(0, 0)] * 60
    np.testing.assert_array_equal(shares[:, 0], 1.0)
    assert 0.4 < shares[30, 1] <= 0.5
    assert np.abs(np.diff(shares[:, 1])).max() < 0.08
    assert shares[5, 1] == shares[55, 1] == 1.0
    assert [share for _, share in shapes] == shares[:, 1].tolist()


def test_what_never_folds_is_left_alone() -> None:
    shapes, shares = moderate(
        lambda frame, shares: float(shares.min()), lambda _: (0, 1), 10, rate=25.0, loop=True
    )
    assert shapes == [1.0] * 10
    np.testing.assert_array_equal(shares, 1.0)

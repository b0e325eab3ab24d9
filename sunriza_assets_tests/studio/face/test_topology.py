"""The mesh's numbering, checked against itself and against a real face."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.face import topology as t


def edges(triangles: NDArray[np.int32]) -> Counter[tuple[int, int]]:
    """Directed edges and how often each occurs."""
    return Counter(
        (int(a), int(b))
        for triangle in triangles
        for a, b in zip(triangle, np.roll(triangle, -1), strict=True)
    )


def test_the_mesh_is_an_oriented_surface_with_three_holes_and_the_oval_around_it() -> None:
    directed = edges(t.TRIANGLES)
    assert max(directed.values()) == 1  # no edge is walked twice in one direction
    border = {a: b for a, b in directed if (b, a) not in directed}
    loops = []
    while border:
        start, here = border.popitem()
        loop = {start}
        while here != start:
            loop.add(here)
            here = border.pop(here)
        loops.append(loop)
    found = {frozenset(loop) for loop in loops}
    expected = [t.FACE_OVAL, t.LIPS_INNER, t.RIGHT_EYE, t.LEFT_EYE]
    assert found == {frozenset(contour.tolist()) for contour in expected}
    assert set(t.TRIANGLES.ravel().tolist()) == set(range(t.MESH_POINTS))


def test_rows_and_contours_lie_where_their_names_say(recorded: NDArray[np.float64]) -> None:
    x, y = recorded[:, 0], recorded[:, 1]
    assert (np.diff(x[t.UPPER_LIP_ROWS], axis=1) > 0).all()
    assert (np.diff(x[t.LOWER_LIP_ROWS], axis=1) > 0).all()
    middle = 5
    assert (np.diff(y[t.UPPER_LIP_ROWS[:, middle]]) > 0).all()  # outer row to inner row: down
    assert (np.diff(y[t.LOWER_LIP_ROWS[:, middle]]) < 0).all()
    for upper, lower in (
        (t.RIGHT_UPPER_LID, t.RIGHT_LOWER_LID),
        (t.LEFT_UPPER_LID, t.LEFT_LOWER_LID),
    ):
        assert (y[upper[1:-1]] < y[lower[1:-1]]).all()
        assert np.abs(x[upper] - x[lower]).max() < 0.05 * np.ptp(x)
    assert x[t.RIGHT_IRIS].max() < x[t.LEFT_IRIS].min()
    assert y[t.RIGHT_BROW].max() < y[t.RIGHT_EYE].min()


@pytest.mark.parametrize("name", t.__all__)
def test_indices_are_points_and_cannot_be_changed(name: str) -> None:
    value = getattr(t, name)
    if isinstance(value, np.ndarray):
        assert not value.flags.writeable
        if value.dtype == np.int32:
            assert 0 <= value.min() <= value.max() < t.POINTS


def test_the_mean_head_is_symmetric_and_one_iod_wide() -> None:
    place = {int(index): row for index, row in zip(t.RIGID_POINTS, t.RIGID_HEAD, strict=True)}
    right, left = (place[index] for index in t.OUTER_EYE_CORNERS)
    np.testing.assert_allclose(left - right, (1, 0, 0), atol=2e-3)
    assert abs(t.RIGID_HEAD[:, 0].sum()) < 1e-9

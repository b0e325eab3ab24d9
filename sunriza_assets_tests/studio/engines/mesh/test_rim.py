"""Cell and idle at the rim of a mouth: one map for the app, and a mesh that keeps to it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.engines.mesh.rim import Rim
from sunriza_assets.studio.engines.mesh.visemes import mouth_rim
from sunriza_assets.studio.face.regions import LOWER_LIP, UPPER_LIP
from sunriza_assets.studio.face.topology import LIPS_OUTER
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.quality.overlay import rim_difference
from sunriza_assets_tests.studio.conftest import Templates

LIPS = np.union1d(UPPER_LIP, LOWER_LIP)
FAR = [10, 33, 263, 6, 234, 454]
"""Forehead, outer eye corners, bridge of the nose, both sides of the face."""


@pytest.fixture(scope="module")
def rim(rig: PortraitRig) -> Rim:
    return mouth_rim(rig)


def affine(rng: np.random.Generator) -> NDArray[np.float64]:
    matrix = np.eye(2, 3) + rng.normal(0.0, 0.05, (2, 3))
    matrix[:, 2] += rng.normal(0.0, 8.0, 2)
    return matrix


def test_it_finds_the_affine_map_that_a_mesh_went_by(rig: PortraitRig, rim: Rim) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        matrix, points = affine(rng), rig.mesh.copy()
        points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        np.testing.assert_allclose(rim.track(points), matrix, atol=1e-6)
        np.testing.assert_allclose(rim.hold_to_track(points, matrix, 1.0), points, atol=1e-9)


def test_skin_is_held_at_the_rim_alone(rig: PortraitRig, rim: Rim) -> None:
    rng = np.random.default_rng(5)
    points = rig.mesh + rng.normal(0.0, 0.05 * rig.iod, rig.mesh.shape)
    matrix = rim.track(points)
    mapped = rig.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    held = rim.hold_to_track(points, matrix, 1.0)
    moved = np.linalg.norm(held - points, axis=1)
    before, after = (np.linalg.norm(p[:, :2] - mapped, axis=1) for p in (points, held))
    assert (after <= before + 1e-9).all()
    at_rim = np.setdiff1d(np.flatnonzero(rim.weights > 0.8), LIPS)
    assert len(at_rim) > 5
    assert after[at_rim].mean() < 0.5 * before[at_rim].mean()
    edge = rig.mesh[LIPS_OUTER, :2]
    room = np.linalg.norm(rig.mesh[:, None, :2] - edge, axis=2).min(axis=1)
    assert (moved <= 0.32 * np.maximum(room, 1e-3 * rig.iod) + 1e-9).all()  # never across a lip
    np.testing.assert_array_equal(held[LIPS], points[LIPS])
    np.testing.assert_array_equal(rim.hold_to_track(points, matrix, 0.0), points)
    half = rim.hold_to_track(points, matrix, 0.5)
    assert (np.linalg.norm(half - points, axis=1) <= moved + 1e-9).all()
    assert (moved[FAR] < 0.05 * before[FAR]).all()
    np.testing.assert_array_equal(held[:, 2], points[:, 2])


def test_a_mouth_at_the_border_of_a_picture_has_a_rim(rig: PortraitRig) -> None:
    """Where part of the cells is cut off, and with it part of the face."""
    lips = rig.mesh[None, LIPS_OUTER, :2]
    left, top = np.floor(lips[0].min(axis=0)).astype(int)
    roi = Roi(int(left), int(top) + 4, 60, 40)
    rim = Rim(rig.mesh, roi, lips - [roi.x, roi.y], rig.iod)
    np.testing.assert_allclose(rim.track(rig.mesh), np.eye(2, 3), atol=1e-9)
    np.testing.assert_allclose(rim.hold_to_track(rig.mesh, np.eye(2, 3), 1.0), rig.mesh)


def test_cells_join_an_idle_that_speaks_and_turns(
    engine: MeshEngine, portrait: Image, make_template: Templates
) -> None:
    """At the gain of every new avatar, the idle's own mouth wide open."""
    count = 12
    way = np.sin(np.linspace(0.0, np.pi, count))
    expression = np.zeros((count, 468, 3))
    expression[:, np.unique(LOWER_LIP[:, 1:-1]), 1] = 0.10 * way[:, None]
    expression[:, [18, 83, 200, 199, 175, 152, 148, 377], 1] = 0.07 * way[:, None]
    turn = np.stack([0.04 * way, 0.09 * way, 0.03 * way], axis=1)
    template = make_template(count, expression=expression, rotation=turn)
    parameters = resolve({"loop": False})
    rendering = engine.render(portrait, template, parameters)
    assert rim_difference(rendering, engine.visemes(portrait, parameters)) < 4.5

"""Viseme cells: each really rendered, told apart by landmarks, seamless at the rim.

Cells are pixels and are looked at as such. The attention mesh does the looking where lips must be
measured closely; the independent mesh, which follows lips only roughly, says whether they opened.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from sunriza_assets.studio.contracts.engine import Image, VisemeCells
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.engines.mesh.visemes import mouth_rim, render_visemes
from sunriza_assets.studio.expression.lip_shapes import shape_lips
from sunriza_assets.studio.expression.lips import lip_gap
from sunriza_assets.studio.expression.visemes import VISEMES, LipShape
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.measures import mouth_aperture
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.topology import LIPS_INNER, MOUTH_CORNERS
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.sample.clip import PerformanceRenderer, sample_portrait
from sunriza_assets.studio.sample.performance import perform
from sunriza_assets_tests.studio.conftest import Templates


@dataclass(frozen=True)
class Speaker:
    rig: PortraitRig
    visemes: VisemeCells
    looks: dict[str, np.ndarray]
    """Viseme -> (478, 3) landmarks of the portrait with the cell laid over it."""
    independent: dict[str, np.ndarray]
    """The same for MBP and AI, seen by models that share no weights with the first."""

    def aperture(self, name: str) -> float:
        return float(mouth_aperture(self.looks[name]))

    def width(self, name: str) -> float:
        right, left = (self.looks[name][index, :2] for index in MOUTH_CORNERS)
        return float(np.linalg.norm(left - right) / self.visemes.iod)


@pytest.fixture(scope="module", params=["smiling", "closed"])
def speaker(request: pytest.FixtureRequest, models_root) -> Speaker:  # type: ignore[no-untyped-def]
    models = ModelStore(models_root)
    portrait = sample_portrait()
    if request.param == "closed":
        portrait = next(PerformanceRenderer(portrait, models).frames(perform()))
    rig = PortraitRig(portrait, FaceMesh(models).portrait(portrait).points)
    visemes = render_visemes(rig)
    shown = {name: _laid_over(portrait, visemes, name) for name in visemes.cells}
    mesh, other = FaceMesh(models), IndependentFaceMesh(models)
    looks = {name: mesh.portrait(picture).points for name, picture in shown.items()}
    independent = {name: other.portrait(shown[name]).points for name in ("MBP", "AI")}
    return Speaker(rig, visemes, looks, independent)


def _laid_over(portrait: Image, visemes: VisemeCells, name: str) -> Image:
    roi, result = visemes.roi, portrait.copy()
    result[roi.y : roi.y + roi.h, roi.x : roi.x + roi.w] = visemes.cells[name]
    return result


def test_there_is_a_cell_for_each_viseme_in_order(speaker: Speaker) -> None:
    visemes = speaker.visemes
    assert list(visemes.cells) == list(VISEMES)
    assert {cell.shape for cell in visemes.cells.values()} == {(visemes.roi.h, visemes.roi.w, 3)}
    assert visemes.lips.shape == (12, 20, 2)
    assert (visemes.lips > 0).all()
    assert (visemes.lips < [visemes.roi.w, visemes.roi.h]).all()


def test_rest_is_the_portrait_at_rest(speaker: Speaker) -> None:
    roi = speaker.visemes.roi
    crop = speaker.rig.image[roi.y : roi.y + roi.h, roi.x : roi.x + roi.w]
    np.testing.assert_array_equal(speaker.visemes.cells["Rest"], crop)


def test_no_two_cells_are_alike(speaker: Speaker) -> None:
    """Shapes that lip-readers confuse may be alike, others differ clearly in the mouth."""
    confused = ({"Rest", "MBP"}, {"U", "WQ", "R"})
    lips = speaker.visemes.lips
    (left, top), (right, bottom) = (
        lips.min(axis=(0, 1)).astype(int),
        lips.max(axis=(0, 1)).astype(int),
    )
    cells = {
        name: cell[top:bottom, left:right].astype(float)
        for name, cell in speaker.visemes.cells.items()
    }
    for first, second in combinations(cells, 2):
        apart = np.abs(cells[first] - cells[second]).mean()
        alike = any({first, second} <= group for group in confused)
        assert apart > (2.0 if alike else 9.0), (first, second)


def test_cells_join_the_frame_at_their_rim(speaker: Speaker) -> None:
    rest = speaker.visemes.cells["Rest"].astype(float)
    for name, cell in speaker.visemes.cells.items():
        apart = np.abs(cell - rest)
        rim = np.concatenate([apart[0], apart[-1], apart[:, 0], apart[:, -1]])
        assert rim.mean() < 4.5, name


def test_a_lip_reader_tells_open_from_shut(speaker: Speaker) -> None:
    aperture = {name: speaker.aperture(name) for name in VISEMES}
    assert aperture["AI"] > 0.95 * max(aperture.values())
    assert aperture["MBP"] <= min(aperture.values()) + 0.01
    assert aperture["O"] > aperture["R"] > aperture["MBP"]
    assert aperture["AI"] - aperture["MBP"] > 0.12
    seen = {name: float(mouth_aperture(look)) for name, look in speaker.independent.items()}
    assert seen["AI"] - seen["MBP"] > 0.08


def test_a_lip_reader_tells_wide_from_round(speaker: Speaker) -> None:
    width = {name: speaker.width(name) for name in VISEMES}
    for wide in ("E", "AI", "MBP"):
        for narrow in ("U", "O", "WQ"):
            assert width[wide] > 1.07 * width[narrow], (wide, narrow)


@pytest.mark.parametrize("name", [name for name, shape in VISEMES.items() if shape])
def test_lips_open_as_far_as_the_table_says(speaker: Speaker, name: str) -> None:
    shape = VISEMES[name]
    assert shape is not None
    gap = lip_gap(shape_lips(speaker.rig.mesh, shape)[:, :2])
    assert gap.max() / speaker.rig.iod == pytest.approx(shape.opening, abs=0.012)


def test_rest_leaves_the_mesh_alone_and_no_shape_moves_skull_or_chin(speaker: Speaker) -> None:
    mesh = speaker.rig.mesh
    np.testing.assert_array_equal(shape_lips(mesh, None), mesh)
    widest = shape_lips(mesh, LipShape(opening=0.25, width=0.6))
    moved = np.linalg.norm(widest - mesh, axis=1) / speaker.rig.iod
    for fixed in (10, 33, 263, 168, 2, 127, 356):
        assert moved[fixed] < 1e-3
    assert moved[152] < 0.02


def test_the_track_holds_the_rim_while_the_lips_move(
    engine: MeshEngine, rig: PortraitRig, portrait: Image, make_template: Templates
) -> None:
    """Where cell and idle are mixed, the track goes where the idle's skin goes."""
    weights = mouth_rim(rig).weights
    assert weights.shape == (468,)
    assert weights[LIPS_INNER].mean() < 0.05  # what only the cell shows
    assert weights[[10, 33, 263]].max() == 0.0  # what only the idle shows
    assert np.count_nonzero(weights > 0.2) > 20
    expression = np.zeros((2, 468, 3))
    expression[1, :, 0] = 0.05
    expression[1, weights < 0.05, 0] += 0.1  # lips, and all that lies beyond the cell
    parameters = resolve({"loop": False, "driving_multiplier": 1.0})
    track = engine.render(portrait, make_template(2, expression=expression), parameters).track
    rim = rig.mesh[weights > 0.2, :2]
    went = rim @ track[1, :, :2].T + track[1, :, 2] - rim
    np.testing.assert_allclose(went / rig.iod, np.broadcast_to([0.05, 0.0], went.shape), atol=0.009)

"""Drawing one portrait: still at rest, and where it is told to go, as other eyes see it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.clip_mouth import ClipMouth
from sunriza_assets.studio.drawing.mouth import Mouth
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.measures import eye_apertures, head_angles, mouth_aperture
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.regions import LOWER_LIP
from sunriza_assets.studio.motion.head_pose import HeadMotion


def turned(rig: PortraitRig, vector: tuple[float, float, float]) -> Image:
    head = HeadMotion(Rotation.from_rotvec(vector).as_matrix(), 1.0, np.zeros(2))
    return rig.draw(head.apply(rig.mesh, rig.centre), head=head)


def test_nothing_moved_is_the_portrait_itself(rig: PortraitRig, portrait: Image) -> None:
    assert np.array_equal(rig.draw(rig.mesh), portrait)


def test_the_slightest_motion_is_nearly_the_portrait(rig: PortraitRig, portrait: Image) -> None:
    """No layer, no sharpening and no painted mouth shows at rest."""
    drawn = turned(rig, (0.0, 0.004, 0.0)).astype(float)
    apart = np.abs(drawn - portrait).mean(axis=2)
    assert apart.mean() < 0.6
    assert np.percentile(apart, 99) < 8


def test_equal_calls_give_equal_pictures(rig: PortraitRig) -> None:
    first = turned(rig, (0.05, 0.2, 0.0))
    rig.draw(rig.mesh, closure=(1.0, 1.0))
    assert np.array_equal(turned(rig, (0.05, 0.2, 0.0)), first)


@pytest.mark.parametrize(
    ("vector", "axis"), [((0.0, -0.2, 0.0), 0), ((0.2, 0.0, 0.0), 1), ((0.0, 0.0, 0.2), 2)]
)
def test_a_turned_head_is_seen_turned(
    rig: PortraitRig,
    independent: IndependentFaceMesh,
    portrait: Image,
    vector: tuple[float, float, float],
    axis: int,
) -> None:
    there, back = (
        head_angles(independent.portrait(turned(rig, tuple(sign * v for v in vector))).points)
        for sign in (1, -1)
    )
    seen = (there - back) / 2
    assert 0.5 * 0.2 < seen[axis] < 1.7 * 0.2
    others = np.delete(np.abs(seen), axis)
    assert others.max() < 0.5 * seen[axis]


def test_a_closed_lid_closes_the_eye(rig: PortraitRig, independent: IndependentFaceMesh) -> None:
    def aperture(closure: float) -> NDArray[np.float64]:
        drawn = rig.draw(rig.mesh, closure=(closure, closure))
        return eye_apertures(independent.portrait(drawn).points)

    open_, half, shut = aperture(0.0), aperture(0.6), aperture(1.0)
    assert (shut < 0.5 * open_).all()
    assert (shut < half).all()
    assert (half < open_).all()


def test_one_eye_closes_alone(rig: PortraitRig, independent: IndependentFaceMesh) -> None:
    wink = eye_apertures(independent.portrait(rig.draw(rig.mesh, closure=(1.0, 0.0))).points)
    assert wink[0] < 0.6 * wink[1]


def test_eyes_close_in_a_head_that_only_speaks(rig: PortraitRig) -> None:
    """What moves is read anew; lids and irises that do not move with it are drawn all the same."""
    points = rig.mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.1 * rig.iod
    blink, both = rig.draw(rig.mesh, closure=(1.0, 1.0)), rig.draw(points, closure=(1.0, 1.0))
    for eye in rig.eyes:
        np.testing.assert_array_equal(both[eye.window], blink[eye.window])
    assert not np.array_equal(both, blink)


def test_irises_follow_the_gaze(rig: PortraitRig, face_mesh: FaceMesh) -> None:
    def irises(x: float) -> NDArray[np.float32]:
        drawn = rig.draw(rig.mesh, gaze=np.array([[x, 0.0], [x, 0.0]]))
        return face_mesh.portrait(drawn).irises

    width = 0.28 * rig.iod
    shift = irises(0.12)[:, 0] - irises(-0.12)[:, 0]
    assert (shift > 0.1 * width).all()


def test_a_dropped_lip_opens_the_mouth(rig: PortraitRig, face_mesh: FaceMesh) -> None:
    points = rig.mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.12 * rig.iod
    drawn = rig.draw(points)
    opened = mouth_aperture(face_mesh.portrait(drawn).points)
    rest = mouth_aperture(face_mesh.portrait(rig.image).points)
    assert opened > rest + 0.03
    middle = points[[13, 14], :2].mean(axis=0).astype(int)
    below = int(points[14, 1] - 0.03 * rig.iod)
    dark = drawn[below, middle[0]].astype(float).mean()
    assert dark < 0.5 * rig.mouth.skin.mean()


def test_a_mouth_in_a_grey_photo_is_grey(portrait: Image, landmarks: NDArray[np.float64]) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    rig = PortraitRig(np.asarray(grey, dtype=np.uint8), landmarks)
    points = rig.mesh.copy()
    points[np.unique(LOWER_LIP[:, 1:-1]), 1] += 0.15 * rig.iod
    texture = np.zeros((48, 96, 3), np.uint8)
    texture[..., 0] = 200
    clip = Mouth(clip=ClipMouth(texture, opening=0.2, skin=np.array([220.0, 170.0, 140.0])))
    for inside in (Mouth(), clip, Mouth(tongue_out=1.0), Mouth(clenched=1.0)):
        drawn = rig.draw(points, mouth=inside)
        assert np.ptp(drawn.astype(int), axis=2).max() <= 1


def test_what_is_behind_the_head_stays(
    rig: PortraitRig, portrait: Image, models: ModelStore
) -> None:
    matte = PersonMatte(models).matte(portrait)
    reach = np.ones((41, 41), np.uint8)  # further than the head moves, which may cover what is near
    behind = cv2.dilate((matte > 0.01).astype(np.uint8), reach) == 0
    drawn = turned(rig, (0.0, 0.3, 0.0)).astype(float)
    apart = np.abs(drawn - portrait).mean(axis=2)
    assert behind.mean() > 0.2
    assert apart[behind].max() < 1.0
    assert apart[matte > 0.9].mean() > 5


def test_without_a_matte_everything_moves_together(
    portrait: Image, landmarks: NDArray[np.float64]
) -> None:
    plain = PortraitRig(portrait, landmarks)
    assert np.array_equal(plain.draw(plain.mesh), portrait)
    assert not np.array_equal(turned(plain, (0.0, 0.2, 0.0)), portrait)


def test_the_border_is_pinned_unless_told_otherwise(
    portrait: Image, landmarks: NDArray[np.float64]
) -> None:
    tight = (slice(40, 190), slice(80, 240))
    image, points = portrait[tight].copy(), landmarks - [80, 40, 0]

    def moved_border(stitched: bool) -> float:
        drawn = turned(PortraitRig(image, points, stitched=stitched), (0.0, 0.25, 0.0))
        apart = np.abs(drawn.astype(float) - image).mean(axis=2)
        return float(apart[:, [0, -1]].mean())

    assert moved_border(stitched=True) < 2.0
    assert moved_border(stitched=False) > 2 * moved_border(stitched=True)


def test_turning_leaves_nothing_torn(rig: PortraitRig) -> None:
    """Neighbouring pixels of a turned face differ no more than those of the portrait do."""
    calm = _worst_step(rig.image, rig)
    for yaw in (-0.4, -0.2, 0.2, 0.4):
        assert _worst_step(turned(rig, (0.0, yaw, 0.0)), rig) < 1.3 * calm


def test_folds_are_counted_and_turning_away_is_none(rig: PortraitRig) -> None:
    head = HeadMotion(Rotation.from_rotvec([0.0, 0.5, 0.0]).as_matrix(), 1.0, np.zeros(2))
    points = head.apply(rig.mesh, rig.centre)
    assert rig.warp.folded(head, points) == 0.0
    points[4, 0] += 0.4 * rig.iod  # the tip of the nose pulled over the cheek
    assert rig.warp.folded(head, points) > 0.001


def _worst_step(picture: Image, rig: PortraitRig) -> float:
    """99.9th percentile of steps between neighbours within the face's box."""
    low, high = rig.mesh[:, :2].min(axis=0).astype(int), rig.mesh[:, :2].max(axis=0).astype(int)
    grey = picture[low[1] : high[1], low[0] : high[0]].astype(float).mean(axis=2)
    steps = np.concatenate([np.diff(grey, axis=0).ravel(), np.diff(grey, axis=1).ravel()])
    return float(np.percentile(np.abs(steps), 99.9))

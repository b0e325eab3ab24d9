"""The neutral reference: found in clips that begin open-mouthed or turned, and averaged rightly."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.engines.mesh.motion.perform import neutral_face
from sunriza_assets.studio.expression.emotion_offsets import emotion_offsets
from sunriza_assets.studio.expression.emotions import Emotion
from sunriza_assets.studio.motion.neutral import MAX_FRAMES, MIN_FRAMES, find_neutral
from sunriza_assets.studio.motion.rigid import fit_similarity

RATE = Fraction(25)
UPPER_LIP, LOWER_LIP = (82, 13, 312), (87, 14, 317)
UPPER_LIDS, LOWER_LIDS = (160, 159, 158, 385, 386, 387), (144, 145, 153, 380, 374, 373)


def head() -> NDArray[np.float64]:
    """A made-up head of 468 points: an ellipsoid's front with eyes and lips where they belong."""
    points = np.random.default_rng(0).normal(size=(468, 3)) * [50, 60, 15]
    points[10], points[2] = [0, -90, 0], [0, 25, -30]
    # The sides of the head, from the top of the forehead down to the ears.
    for sides, y in (
        ((54, 284), -80), ((21, 251), -65), ((162, 389), -45), ((127, 356), -20), ((234, 454), 10),
    ):  # fmt: skip
        for side, x in zip(sides, (-70, 70), strict=True):
            points[side] = [x, y, 30]
    for outer, inner, sign in ((33, 133, -1), (263, 362, 1)):
        points[outer], points[inner] = [45 * sign, -20, 0], [18 * sign, -20, 0]
    for lids, offset in ((UPPER_LIDS, -25), (LOWER_LIDS, -15)):
        for k, x in zip(lids, (-38, -31, -25, 25, 31, 38), strict=True):
            points[k] = [x, offset, -5]
    for lips, y in ((UPPER_LIP, 45), (LOWER_LIP, 45)):
        for k, x in zip(lips, (-6, 0, 6), strict=True):
            points[k] = [x, y, -20]
    return points


def clip(
    mouth: NDArray[np.float64], yaw: NDArray[np.float64], lids: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(T, 468, 3) the head with a mouth opening (px), a yaw (rad) and a lid closure over time."""
    frames = []
    for opening, turn, closed in zip(mouth, yaw, lids, strict=True):
        points = head()
        points[list(LOWER_LIP), 1] += opening
        points[list(UPPER_LIDS), 1] += 10 * closed
        frames.append(Rotation.from_rotvec([0, turn, 0]).apply(points))
    return np.stack(frames) + np.array([256.0, 256.0, 0.0])


def speech(count: int, quiet: slice) -> NDArray[np.float64]:
    opening = gaussian_filter1d(np.abs(np.random.default_rng(1).normal(size=count)) * 30, 2) + 4
    opening[quiet] = 0.5
    return opening


def test_a_clip_that_begins_in_the_middle_of_a_word() -> None:
    still = np.zeros(100)
    found = find_neutral(clip(speech(100, slice(60, 75)), still, still), RATE)
    assert 60 <= found.frame < 75
    assert all(60 <= frame < 75 for frame in found.frames)


def test_a_clip_that_begins_with_a_turned_head() -> None:
    yaw = np.concatenate([np.full(20, 0.6), np.linspace(0.6, 0.0, 20), np.zeros(60)])
    found = find_neutral(clip(np.full(100, 1.0), yaw, np.zeros(100)), RATE)
    assert abs(yaw[found.frame]) < 0.05


def test_pursed_lips_are_not_rest() -> None:
    still = np.zeros(100)
    frames = clip(speech(100, slice(0, 40)), still, still)
    middle = np.array([256.0, 301.0, -20.0])
    half = np.where(np.arange(100) < 20, 15.0, 20.0)[:, None] * (1.0, 0.0, 0.0)
    frames[:, 61], frames[:, 291] = middle - half, middle + half
    frames[20:40, LOWER_LIP, 1] += 1.0  # lips at rest are parted a little more than in a "p"
    assert 20 <= find_neutral(frames, RATE).frame < 40


def test_a_blink_is_not_rest() -> None:
    lids = np.zeros(100)
    lids[:10] = 1.0
    assert find_neutral(clip(np.ones(100), np.zeros(100), lids), RATE).frame >= 10


def test_lost_frames_are_never_chosen() -> None:
    still = np.zeros(100)
    frames = clip(speech(100, slice(60, 75)), still, still)
    usable = np.ones(100, dtype=bool)
    usable[58:80] = False
    assert usable[list(find_neutral(frames, RATE, usable=usable).frames)].all()
    with pytest.raises(FaceError):
        find_neutral(frames, RATE, usable=np.zeros(100, dtype=bool))


def test_the_average_is_taken_in_one_pose_and_calms_noise() -> None:
    rng, still = np.random.default_rng(2), np.zeros(60)
    yaw = 0.1 * np.sin(np.arange(60) / 9)
    clean = clip(np.ones(60), yaw, still)
    found = find_neutral(clean + rng.normal(scale=0.8, size=clean.shape), RATE)
    assert MIN_FRAMES <= len(found.frames) <= MAX_FRAMES
    truth = clip(np.ones(1), yaw[[found.frame]], still[:1])[0]
    fitted = fit_similarity(truth, found.points)
    error = np.linalg.norm(fitted.inverse().apply(found.points) - truth, axis=1).mean()
    single = 0.8 * np.sqrt(8 / np.pi)  # mean length of the noise of one frame
    assert error < 0.75 * single
    assert float(fitted.scale) == pytest.approx(1.0, abs=0.01)


def test_one_frame_is_its_own_neutral() -> None:
    frames = clip(np.ones(1), np.zeros(1), np.zeros(1))
    found = find_neutral(frames, RATE)
    assert (found.frame, found.frames) == (0, (0,))
    np.testing.assert_allclose(found.points, frames[0], atol=1e-9)


def test_rate_does_not_change_the_choice() -> None:
    still = np.zeros(200)
    frames = clip(speech(200, slice(120, 150)), still, still)
    slow = find_neutral(frames[::2], Fraction(25)).frame
    assert abs(2 * slow - find_neutral(frames, Fraction(50)).frame) <= 30


def acting(
    count: int, *, smile: NDArray[np.float64] | float = 0.0, gaze: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """(count, 478, 3) a face from the front that smiles with parted lips and looks aside.

    Args:
        count: frames.
        smile: how much of a broad grin, 0-1.
        gaze: shift of the irises, eye widths.
    """
    face = 100.0 * neutral_face() + 256.0
    grin = emotion_offsets(face[:468], Emotion(corners=0.4, width=1.4, opening=0.15))
    frames = np.repeat(face[None], count, axis=0)
    frames[:, :468] += np.broadcast_to(smile, count)[:, None, None] * grin
    width = np.linalg.norm(face[133] - face[33])
    frames[:, 468:, 0] += np.broadcast_to(gaze, count)[:, None] * width
    return frames + np.random.default_rng(3).normal(scale=0.05, size=frames.shape)


def test_who_smiles_most_of_the_time_does_not_rest_with_a_smile() -> None:
    smile = np.where(np.arange(100) < 15, 0.0, 1.0)
    frames = acting(100, smile=smile)
    assert np.median(frames[:, 291, 0] - frames[:, 61, 0]) > 1.3 * np.ptp(frames[0, [61, 291], 0])
    assert find_neutral(frames, RATE).frame < 15


def test_who_looks_aside_most_of_the_time_rests_looking_ahead() -> None:
    gaze = np.where(np.arange(100) < 80, 0.09, 0.0)
    assert find_neutral(acting(100, gaze=gaze), RATE).frame >= 80

"""Timing and transfer: what a template's motion becomes on a portrait, without painting it."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from sunriza_assets.studio.engines.liveportrait.anatomy import EYES, LIPS
from sunriza_assets.studio.engines.liveportrait.keypoints import rotation_matrices
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.template import build_template, motion_in
from sunriza_assets.studio.engines.liveportrait.timing import plan_timing
from sunriza_assets.studio.engines.liveportrait.transfer import Transfer, exaggerated
from sunriza_assets.studio.engines.liveportrait.visemes import mouth_roi, viseme_keypoints
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets_tests.studio.engines.liveportrait import recorded

RATE = Fraction(25)
FRAMES = 200
REST = 30
PLAIN: dict[str, Any] = {
    "loop": False,
    "driving_multiplier": 1.0,
    "scale_multiplier": 1.0,
    "flag_stitching": False,
}


def _angles() -> np.ndarray:
    """(T, 3) degrees, slow enough that smoothing leaves them alone; at rest in frame `REST`."""
    t = (np.arange(FRAMES) - REST) / 25
    return np.stack([6 * np.sin(2 * t), 15 * np.sin(1.3 * t), 4 * np.sin(0.7 * t)], axis=1)


@pytest.fixture(scope="module")
def template() -> MotionTemplate:
    angles = torch.from_numpy(_angles()).float()
    t = (np.arange(FRAMES) - REST) / 25
    rng = np.random.default_rng(3)
    shape = rng.normal(0, 0.02, (21, 3))
    arrays = {
        "scale": 1.2 * np.exp(0.1 * np.sin(0.9 * t))[:, None],
        "rotation": rotation_matrices(*angles.unbind(1)).numpy(),
        "exp": np.sin(3 * t)[:, None, None] * shape,
        "t": np.stack([0.05 * np.sin(t), 0.03 * np.sin(1.7 * t), 0 * t], axis=1),
        "kp": np.broadcast_to(recorded.arrays("motion.npz")["motion/drv/kp"][0], (FRAMES, 21, 3)),
        "eyes": np.stack([0.3 - 0.1 * np.sin(3 * t)] * 2, axis=1),
        "lip": (0.1 + 0.1 * np.sin(3 * t))[:, None],
    }
    return build_template(
        {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        rate=RATE,
        source_sha256="0" * 64,
        neutral_frame=REST,
        facts={},
    )


def _transfer(
    portrait: Portrait, template: MotionTemplate, modules: Modules, **changes: Any
) -> Transfer:
    parameters = RenderParameters(**(PLAIN | changes))
    return Transfer(portrait, plan_timing(template, parameters), parameters, modules.retargeting)


def _step(values: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(values, axis=0)).reshape(len(values) - 1, -1).max(axis=1)


def test_unlooped_motion_is_the_clips_own(
    template: MotionTemplate, portrait: Portrait, modules: Modules
) -> None:
    timing = plan_timing(template, RenderParameters(**PLAIN))
    own = motion_in(template)
    assert timing.rate == RATE
    assert len(timing.motion) == FRAMES
    assert (timing.motion.exp - own.exp).abs().max() < 1e-5
    assert (timing.motion.rotation - own.rotation).abs().max() < 2e-3  # smoothed, but slow
    moved = _transfer(portrait, template, modules).keypoints
    assert (moved[REST] - portrait.motion.keypoints[0]).abs().max() < 1e-5
    assert (moved[REST + 40] - moved[REST]).abs().max() > 0.05


@pytest.mark.parametrize("seconds", [None, 4.0])
def test_a_loop_passes_its_seam_with_an_ordinary_step(
    template: MotionTemplate, portrait: Portrait, modules: Modules, seconds: float | None
) -> None:
    parameters = RenderParameters(**(PLAIN | {"loop": True, "loop_seconds": seconds}))
    timing = plan_timing(template, parameters)
    moved = Transfer(portrait, timing, parameters, modules.retargeting).keypoints.numpy()
    steps = _step(moved)
    assert np.abs(moved[0] - moved[-1]).max() <= 1.3 * np.percentile(steps, 95)
    assert timing.facts["loop"]["frames"] == len(moved)
    if seconds is not None:
        assert len(moved) == 100
    rotation = timing.motion.rotation
    assert torch.allclose(
        rotation @ rotation.transpose(1, 2), torch.eye(3).expand(len(moved), 3, 3), atol=1e-5
    )


def test_another_rate_shows_the_same_moments(template: MotionTemplate) -> None:
    timing = plan_timing(template, RenderParameters(**(PLAIN | {"fps": 12.5})))
    own = motion_in(template)
    assert timing.rate == Fraction(25, 2)
    assert (timing.motion.exp - own.exp[::2]).abs().max() < 1e-5


def test_the_gain_is_exact_up_to_one_and_softened_beyond() -> None:
    source = torch.zeros(1, 21, 3)
    shifts = torch.linspace(0, 0.6, 40)[:, None, None].expand(40, 21, 3) / 3**0.5
    for gain in (0.0, 0.41, 1.0):
        moved, gains = exaggerated(source, shifts, gain)
        assert torch.allclose(moved, gain * shifts, atol=1e-6)
        assert (gains == gain).all()
    moved, gains = exaggerated(source, shifts, 1.7)
    sizes = moved.norm(dim=2).mean(dim=1).numpy()
    assert np.isclose(gains[5], 1.7)
    assert (np.diff(sizes) > 0).all()
    assert (sizes >= shifts.norm(dim=2).mean(dim=1).numpy() - 1e-6).all()
    assert gains[-1] == 1.0


def test_still_lips_stay_while_the_face_lives(
    template: MotionTemplate, portrait: Portrait, modules: Modules
) -> None:
    still = _transfer(portrait, template, modules, animation_region="exp", lips="still").keypoints
    moving = _transfer(portrait, template, modules, animation_region="exp").keypoints
    lips, others = list(LIPS), [k for k in range(21) if k not in LIPS]
    assert np.ptp(still[:, lips].numpy(), axis=0).max() < 1e-6
    assert np.ptp(moving[:, lips].numpy(), axis=0).max() > 0.01
    assert torch.allclose(still[:, others], moving[:, others], atol=1e-6)


def test_eyes_may_follow_their_opening(
    template: MotionTemplate, portrait: Portrait, modules: Modules
) -> None:
    transfer = _transfer(
        portrait, template, modules, animation_region="exp", flag_eye_retargeting=True
    )
    plain = _transfer(portrait, template, modules, animation_region="exp")
    assert transfer.facts["eyes"] == "by opening"
    by_opening = modules.retargeting.eye(
        portrait.motion.keypoints.expand(FRAMES, 21, 3),
        torch.cat(
            [
                portrait.ratios.eyes.expand(FRAMES, 2),
                torch.from_numpy(template.arrays["eyes"][:, :1]),
            ],
            dim=1,
        ),
    )
    eyes = list(EYES)
    wanted = portrait.motion.keypoints[:, eyes] + by_opening[:, eyes]
    assert torch.allclose(transfer.keypoints[:, eyes], wanted, atol=1e-5)
    others = [k for k in range(21) if k not in EYES]
    moved = transfer.keypoints[:, others] - by_opening[:, others]
    assert torch.allclose(moved, plain.keypoints[:, others], atol=1e-5)


def test_lips_are_closed_once_and_not_exaggerated(
    template: MotionTemplate, portrait: Portrait, modules: Modules
) -> None:
    plain = _transfer(portrait, template, modules, driving_multiplier=1.7)
    shut = _transfer(portrait, template, modules, driving_multiplier=1.7, flag_lip_zero=True)
    closing = shut.keypoints - plain.keypoints
    conditions = torch.cat([portrait.ratios.lip, torch.zeros(1, 1)], dim=1)
    wanted = modules.retargeting.lip(portrait.motion.keypoints, conditions)
    assert (closing - wanted).abs().max() < 1e-5
    assert shut.facts["lips_closed"]
    smiling = float(portrait.ratios.lip) >= 0.03
    normalized = _transfer(portrait, template, modules, flag_normalize_lip=True)
    assert normalized.facts["lips_closed"] == smiling


def test_the_track_is_the_heads_own_way(
    template: MotionTemplate, portrait: Portrait, modules: Modules
) -> None:
    """A head that only shifts and leans carries the mouth by exactly that shift and lean."""
    t = np.linspace(0, 1, 20)
    lean = Rotation.from_rotvec(0.2 * t[:, None] * [0.0, 0.0, 1.0])
    rotation = portrait.motion.rotation.numpy() @ lean.as_matrix().transpose(0, 2, 1)
    first = portrait.motion
    arrays = {
        "scale": np.repeat(first.scale.numpy(), 20, axis=0),
        "rotation": rotation,
        "exp": np.zeros((20, 21, 3)),
        "t": np.stack([0.1 * t, -0.05 * t, 0 * t], axis=1),
    }
    clip = build_template(
        {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        rate=RATE,
        source_sha256="0" * 64,
        neutral_frame=0,
        facts={},
    )
    transfer = _transfer(portrait, clip, modules)
    track = transfer.mouth_track()
    assert np.allclose(track[0], [[1, 0, 0], [0, 1, 0]], atol=1e-3)
    to_shown = portrait.to_shown
    rest = transfer.keypoints[0, list(LIPS), :2].numpy() @ to_shown[:, :2].T + to_shown[:, 2]
    last = transfer.keypoints[-1, list(LIPS), :2].numpy() @ to_shown[:, :2].T + to_shown[:, 2]
    carried = rest @ track[-1, :, :2].T + track[-1, :, 2]
    moved = np.linalg.norm(last - rest, axis=1).mean()
    assert np.linalg.norm(carried - last, axis=1).mean() < 0.15 * moved


def test_visemes_differ_and_rest_is_the_portrait(portrait: Portrait, modules: Modules) -> None:
    keypoints = viseme_keypoints(portrait, modules.retargeting, stitching=True)
    assert keypoints.shape == (len(VISEMES), 21, 3)
    assert torch.allclose(keypoints[0], portrait.motion.keypoints[0], atol=1e-6)
    names = list(VISEMES)
    lips = keypoints[:, list(LIPS)]
    spread = lips[..., 0].max(dim=1).values - lips[..., 0].min(dim=1).values
    assert spread[names.index("U")] < spread[names.index("E")]
    for index in range(len(names)):
        for other in range(index):
            assert (keypoints[index] - keypoints[other]).abs().max() > 1e-4


def test_the_roi_holds_all_lips(portrait: Portrait) -> None:
    roi, lips = mouth_roi(portrait)
    assert roi.fits(portrait.size)
    assert (lips.reshape(-1, 2) > [roi.x, roi.y]).all()
    assert (lips.reshape(-1, 2) < [roi.x + roi.w, roi.y + roi.h]).all()

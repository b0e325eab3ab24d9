"""Keypoint arithmetic equals the published code in all 117 recorded cases."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.anatomy import LIP_NEUTRAL, LIPS
from sunriza_assets.studio.engines.liveportrait.driving import Driving, Ratios, driving_keypoints
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion, rotation_matrices
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.smoothing import kalman_smoothed
from sunriza_assets_tests.studio.engines.liveportrait import recorded

LIMIT = 2e-6
CASES: dict[str, dict[str, Any]] = recorded.facts()["motion_cases"]
WHOLE = slice(None)


def _found(name: str) -> Tensor:
    return torch.from_numpy(recorded.arrays("motion.npz")[name])


def _motion(side: str, frames: slice = WHOLE) -> Motion:
    angles = (_found(f"motion/{side}/{axis}")[:, 0] for axis in ("pitch", "yaw", "roll"))
    scale, exp, t, kp = (_found(f"motion/{side}/{name}") for name in ("scale", "exp", "t", "kp"))
    return Motion(scale, rotation_matrices(*angles), exp, t, kp)[frames]


def _ratios(side: str, frames: slice = WHOLE) -> Ratios:
    return Ratios(
        _found(f"motion/{side}/c_eyes")[frames],
        _found(f"motion/{side}/c_lip")[frames],
    )


def test_all_cases_are_here() -> None:
    assert len(CASES) == 117


@pytest.mark.parametrize("name", CASES)
def test_case(modules: Modules, name: str) -> None:
    case = dict(CASES[name])
    source = slice(0, 1) if case.pop("source") == "img" else WHOLE
    driver = slice(3, 4) if case.pop("driving") == "img" else WHOLE
    moved = driving_keypoints(
        _motion("src", source),
        _motion("drv", driver),
        Driving(**case),
        modules.retargeting,
        source_ratios=_ratios("src", source),
        driver_ratios=_ratios("drv_template", driver),
    )
    wanted = _found(f"motion/x_d/{name}")
    assert moved.shape == wanted.shape
    assert (moved - wanted).abs().max() < LIMIT


def test_rotations_and_keypoints() -> None:
    for side, rotation, keypoints in (
        ("src", "motion/src/R", "motion/src/x_s"),
        ("drv", "motion/drv_template/R", "motion/drv_template/x_s"),
    ):
        motion = _motion(side)
        assert (motion.rotation - _found(rotation)).abs().max() < LIMIT
        assert (motion.keypoints - _found(keypoints)).abs().max() < LIMIT


@pytest.mark.parametrize("variance", ["3e-07", "1e-05"])
def test_smoothing(variance: str) -> None:
    smoothed = kalman_smoothed(_found("motion/drv/exp"), float(variance))
    assert (smoothed - _found(f"smooth/exp_obsvar_{variance}")).abs().max() < 1e-7


def test_the_neutral_lips_are_the_published_constant() -> None:
    assert np.allclose(LIP_NEUTRAL, _found("motion/lip_array")[0], atol=1e-9)


def test_motion_may_be_relative_to_any_moment(modules: Modules) -> None:
    """From frame 2 on, a clip drives like the clip that begins there."""
    source, driver = _motion("src", slice(0, 1)), _motion("drv")
    later = driving_keypoints(source, driver[2:], Driving(), modules.retargeting)
    whole = driving_keypoints(source, driver, Driving(), modules.retargeting, reference=driver[2:3])
    assert (whole[2:] - later).abs().max() < LIMIT
    assert (whole[2] - whole[0]).abs().max() > 0.01


def test_held_keypoints_keep_the_portraits_expression(modules: Modules) -> None:
    source, driver = _motion("src", slice(0, 1)), _motion("drv")
    plain = Driving(region="exp", stitching=False)
    held = Driving(region="exp", stitching=False, held=LIPS)
    moved = driving_keypoints(source, driver, plain, modules.retargeting)
    still = driving_keypoints(source, driver, held, modules.retargeting)
    lips = list(LIPS)
    assert (still[:, lips] - source.keypoints[:, lips]).abs().max() < LIMIT
    assert (moved[:, lips] - source.keypoints[:, lips]).abs().max() > 0.01
    others = [point for point in range(21) if point not in LIPS]
    assert torch.allclose(still[:, others], moved[:, others], atol=1e-6)


@pytest.mark.parametrize("zoom", [0.0, 0.41, 1.0])
def test_a_share_of_the_zoom_is_carried_over(modules: Modules, zoom: float) -> None:
    source, driver = _motion("src", slice(0, 1)), _motion("drv")
    options = Driving(stitching=False, zoom=zoom)
    moved = driving_keypoints(source, driver, options, modules.retargeting)
    whole = driving_keypoints(source, driver, Driving(stitching=False), modules.retargeting)
    middle = moved.mean(dim=1, keepdim=True)
    spread = (moved - middle).norm(dim=(1, 2)) / (whole - whole.mean(1, keepdim=True)).norm(
        dim=(1, 2)
    )
    grown = (driver.scale / driver.scale[:1])[:, 0]
    assert torch.allclose(spread, grown ** (zoom - 1), rtol=1e-4)

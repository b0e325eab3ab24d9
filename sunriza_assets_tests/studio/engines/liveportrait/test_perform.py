"""A script as a template of this engine, laid on a portrait; nothing is painted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sunriza_assets.studio.engines.liveportrait.anatomy import LOWER_LIP
from sunriza_assets.studio.engines.liveportrait.driving import eye_offsets
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.perform import perform_script
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.template import motion_in, ratios_in
from sunriza_assets.studio.engines.liveportrait.timing import plan_timing
from sunriza_assets.studio.engines.liveportrait.transfer import Transfer
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.performances.named import PERFORMANCES
from sunriza_assets.studio.performances.script import MotionScript

PLAIN: dict[str, Any] = {
    "loop": False,
    "driving_multiplier": 1.0,
    "scale_multiplier": 1.0,
    "flag_stitching": False,
}
CURVES = ("yaw", "pitch", "roll", "shift", "log_scale", "closure", "gaze", "smile", "brows",
          "opening", "width")  # fmt: skip


def held(**curves: Any) -> MotionScript:
    """Two frames: one in which nothing happens, one in which these do."""
    script = motion_script("calm")
    changed = {}
    for name in CURVES:
        values = np.zeros((2, *getattr(script, name).shape[1:]))
        values[1] = curves.get(name, 0.0)
        changed[name] = values
    return replace(script, **changed)


def moved(portrait: Portrait, modules: Modules, script: MotionScript, **given: Any) -> torch.Tensor:
    """(T, 21, 3) how far each keypoint has gone from the portrait's own."""
    parameters = RenderParameters(**{**PLAIN, **given})
    timing = plan_timing(perform_script(script), parameters)
    keypoints = Transfer(portrait, timing, parameters, modules.retargeting).keypoints
    return keypoints - portrait.motion.keypoints


@pytest.mark.parametrize("name", PERFORMANCES)
def test_it_is_a_template_of_this_engine_and_its_own_loop(name: str) -> None:
    script = motion_script(name)
    template = perform_script(script)
    assert template.performance == name
    assert len(motion_in(template)) == script.frame_count
    assert ratios_in(template) is not None
    timing = plan_timing(template, RenderParameters())
    assert len(timing.motion) == script.frame_count
    assert timing.facts["loop"]["glide_frames"] == 0
    assert max(timing.facts["loop"]["seam"].values()) <= 1.0
    longer = plan_timing(template, RenderParameters(loop_seconds=9.0))
    assert len(longer.motion) == 225


def test_at_rest_the_portrait_is_as_it_is(portrait: Portrait, modules: Modules) -> None:
    shift = moved(portrait, modules, held(yaw=0.1))
    assert shift[0].abs().max() < 1e-5
    assert shift[1].abs().max() > 1e-2


def test_the_head_turns_where_the_script_says(portrait: Portrait, modules: Modules) -> None:
    """What is near the viewer goes to the side that the head turns to."""
    motion = replace(portrait.motion, rotation=torch.eye(3)[None])
    frontal = replace(portrait, motion=motion)
    near = int(motion.kp[0, :, 2].argmin())
    far = int(motion.kp[0, :, 2].argmax())
    right = moved(frontal, modules, held(yaw=0.1))[1]
    assert right[near, 0] > 0 > right[far, 0]
    down = moved(frontal, modules, held(pitch=0.1))[1]
    assert down[near, 1] > down[far, 1]
    top, bottom = int(motion.kp[0, :, 1].argmin()), int(motion.kp[0, :, 1].argmax())
    leant = moved(frontal, modules, held(roll=0.1))[1]
    assert leant[top, 0] > leant[bottom, 0], "clockwise"


def test_lids_are_brought_where_the_portraits_own_are_shut(
    portrait: Portrait, modules: Modules
) -> None:
    own = portrait.ratios.eyes.mean(dim=1, keepdim=True)
    x_s = portrait.motion.keypoints

    def offsets_for(ratio: torch.Tensor) -> torch.Tensor:
        return eye_offsets(x_s, portrait.ratios, ratio, 1, modules.retargeting)[0]

    shift = moved(portrait, modules, held(closure=1.0))
    torch.testing.assert_close(
        shift[1], offsets_for(0 * own) - offsets_for(own), atol=1e-5, rtol=1e-4
    )
    lively = moved(portrait, modules, held(closure=1.0), driving_multiplier=1.7)
    torch.testing.assert_close(lively[1], shift[1], atol=1e-5, rtol=1e-4)
    only_head = moved(portrait, modules, held(closure=1.0), animation_region="pose")
    assert only_head[1].abs().max() < 1e-5


def test_smile_brows_lips_and_gaze_have_their_directions(
    portrait: Portrait, modules: Modules
) -> None:
    motion = replace(portrait.motion, rotation=torch.eye(3)[None])
    frontal = replace(portrait, motion=motion)
    smiling = moved(frontal, modules, held(smile=1.0))[1]
    assert smiling[14, 1] < 0, "the corners of the mouth rise"
    assert moved(frontal, modules, held(brows=1.0))[1][1, 1] > 0
    assert moved(frontal, modules, held(opening=0.05))[1][LOWER_LIP, 1] > 0.01
    looking = moved(frontal, modules, held(gaze=np.array([0.1, 0.0])))[1]
    assert looking[[11, 15], 0].min() > 0
    still = [point for point in range(21) if point not in (11, 15)]
    assert looking[still].abs().max() < 1e-5


def test_the_engine_performs(models_root: Any, modules: Modules) -> None:
    engine = LivePortraitEngine(models_root, device="cpu", modules=modules)
    template = engine.perform(motion_script("cheerful"))
    assert (template.engine, template.performance) == ("liveportrait", "cheerful")
    assert template.source_sha256 == motion_script("cheerful").sha256

"""Timing: what a clip's own eyes measure when they are shut, and the mouths it shows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.motion.timing import plan_timing
from sunriza_assets.studio.parameters import resolve
from sunriza_assets_tests.studio.conftest import Templates

FRAMES = 75


def shut(rig: PortraitRig, make_template: Templates, closure: NDArray[np.float64]) -> float:
    template = make_template(FRAMES, closure=closure)
    return plan_timing(template, rig, resolve({"loop": False})).shut


def bump(depth: float, width: int, *, ebb: float = 0.0) -> NDArray[np.float64]:
    """(75,) a lid that falls to `depth` about frame 30 and stays at `ebb` for a second."""
    frames = np.arange(FRAMES)
    curve = depth * np.exp(-(((frames - 30) / width) ** 2))
    curve[30:55] = np.maximum(curve[30:55], ebb)
    return curve


def test_a_blink_tells_what_shut_eyes_measure(rig: PortraitRig, make_template: Templates) -> None:
    both = np.stack([bump(0.62, 2), bump(0.58, 2)], axis=1)
    assert shut(rig, make_template, both) == pytest.approx(0.6, abs=0.01)


def test_a_wink_does_where_nobody_blinks(rig: PortraitRig, make_template: Templates) -> None:
    """The wink ebbs into a squint of that eye, the other one stays open."""
    wink = np.stack([bump(0.64, 2, ebb=0.32), np.zeros(FRAMES)], axis=1)
    assert shut(rig, make_template, wink) == pytest.approx(0.64, abs=0.01)


def test_neither_squint_nor_stillness_tells(rig: PortraitRig, make_template: Templates) -> None:
    still = shut(rig, make_template, np.zeros((FRAMES, 2)))
    assert shut(rig, make_template, np.stack([bump(0.6, 18)] * 2, axis=1)) == still
    assert shut(rig, make_template, np.stack([bump(0.4, 2)] * 2, axis=1)) == still


def teeth(light: int) -> NDArray[np.uint8]:
    """A clip's mouth that shows teeth, in skin of 180."""
    texture = np.full((48, 96, 3), 20, np.uint8)
    texture[:20], texture[:20, 5::9] = light, light // 2
    return texture


def test_a_mouth_that_is_all_but_shut_shows_what_it_shows_when_open(
    rig: PortraitRig, make_template: Templates
) -> None:
    """Between two words lips part by less than can be cut out: no frame of darkness in between."""
    textures = np.zeros((FRAMES, 48, 96, 3), np.uint8)
    opening = np.zeros(FRAMES)
    opening[10:20], opening[21:30] = 0.2, 0.1
    textures[10:20], textures[21:30] = teeth(220), teeth(180)
    textures[15] = 255  # burnt out for a moment
    arrays = {"mouth_texture": textures, "mouth_opening": opening}
    own = make_template(FRAMES, neutral=rig.landmarks, **arrays)
    timed = plan_timing(own, rig, resolve({"loop": False}))
    shown = timed.arrays["mouth_texture"][:, 0, 0, 0]
    assert timed.facts["mouth"] == "clip"
    assert shown[20] in (180, 220)
    assert shown[9] == shown[0] == shown[15] == 220
    assert shown[30] == shown[-1] == 180
    other = plan_timing(make_template(FRAMES, **arrays), rig, resolve({"loop": False}))
    assert other.facts["mouth"] == "painted", "another person's teeth"
    textures[10:30] = 255
    burnt = make_template(FRAMES, neutral=rig.landmarks, **arrays)
    assert plan_timing(burnt, rig, resolve({"loop": False})).facts["mouth"] == "painted"


def test_a_clip_without_an_open_mouth_has_none_to_show(
    rig: PortraitRig, make_template: Templates
) -> None:
    textures = np.zeros((FRAMES, 4, 6, 3), np.uint8)
    template = make_template(FRAMES, mouth_texture=textures)
    timed = plan_timing(template, rig, resolve({"loop": False})).arrays
    assert len(timed["mouth_texture"]) == 0

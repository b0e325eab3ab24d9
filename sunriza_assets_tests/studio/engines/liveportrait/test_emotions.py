"""Emotions as keypoints: linear before retargeting, local, laid over the clip and under visemes.

With seeded weights no picture means anything; where keypoints go does.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from sunriza_assets.studio.engines.liveportrait.anatomy import EYES, LIPS
from sunriza_assets.studio.engines.liveportrait.driving import Ratios, eye_offsets
from sunriza_assets.studio.engines.liveportrait.emotions import (
    MOVED_KEYPOINTS,
    EmotionKeypoints,
    emotion_keypoints,
    expression_offsets,
)
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.template import build_template
from sunriza_assets.studio.engines.liveportrait.timing import Timing, plan_timing
from sunriza_assets.studio.engines.liveportrait.transfer import Transfer
from sunriza_assets.studio.engines.liveportrait.visemes import mouth_roi, viseme_keypoints
from sunriza_assets.studio.expression.emotions import EMOTIONS
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.parameters import RenderParameters, resolve

FELT = [name for name, emotion in EMOTIONS.items() if emotion]
FRAMES = 50


def _emotion_keypoints(portrait: Portrait, modules: Modules, **given: Any) -> EmotionKeypoints:
    offsets = emotion_keypoints(portrait, resolve(given), modules.retargeting, closed=False)
    assert offsets is not None
    return offsets


@pytest.fixture(scope="module")
def timing(portrait: Portrait) -> Timing:
    """A face like the portrait's that speaks and blinks; nothing is smoothed over a loop."""
    motion, t = portrait.motion, np.arange(FRAMES) / 25
    shape = np.random.default_rng(5).normal(0, 0.02, (21, 3))
    arrays = {
        "scale": motion.scale.numpy().repeat(FRAMES, axis=0),
        "rotation": motion.rotation.numpy().repeat(FRAMES, axis=0),
        "exp": np.sin(3 * t)[:, None, None] * shape,
        "t": np.zeros((FRAMES, 3)),
        "eyes": np.where(np.abs(np.arange(FRAMES) - 20) < 3, 0.0, 0.3)[:, None].repeat(2, axis=1),
        "lip": np.full((FRAMES, 1), 0.1),
    }
    template = build_template(
        {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        rate=Fraction(25),
        source_sha256="0" * 64,
        neutral_frame=0,
        facts={},
    )
    return plan_timing(template, RenderParameters(loop=False))


def _keypoints(portrait: Portrait, timing: Timing, modules: Modules, **given: Any) -> torch.Tensor:
    return Transfer(portrait, timing, resolve(given), modules.retargeting).keypoints


def test_without_an_emotion_not_a_bit_changes(
    portrait: Portrait, timing: Timing, modules: Modules
) -> None:
    plain = _keypoints(portrait, timing, modules)
    none = _keypoints(portrait, timing, modules, emotion="sad", emotion_strength=0)
    assert torch.equal(plain, none)
    assert emotion_keypoints(portrait, resolve(), modules.retargeting, closed=True) is None


@pytest.mark.parametrize("emotion", FELT)
def test_twice_the_strength_moves_twice_as_far_and_nothing_else(
    portrait: Portrait, modules: Modules, emotion: str
) -> None:
    whole = _emotion_keypoints(portrait, modules, emotion=emotion).expression
    half = _emotion_keypoints(portrait, modules, emotion=emotion, emotion_strength=0.5).expression
    assert torch.allclose(whole, 2 * half, atol=1e-6)
    others = [point for point in range(21) if point not in MOVED_KEYPOINTS]
    assert len(others) >= 5
    assert whole[0, others].abs().max() == 0
    assert whole.abs().max() > 0.003


def test_keypoints_go_where_the_table_says(portrait: Portrait) -> None:
    def moved(name: str) -> torch.Tensor:
        emotion = EMOTIONS[name]
        assert emotion is not None
        return expression_offsets(portrait, emotion)[0]

    corner, brow = 14, 1
    assert moved("happy")[corner, 1] < 0 < moved("sad")[corner, 1]
    assert moved("surprised")[brow, 1] > 0 > moved("angry")[brow, 1]
    assert moved("angry")[brow, 0] > moved("surprised")[brow, 0]
    spread = {name: float(moved(name)[list(LIPS), 0].std()) for name in ("happy", "surprised")}
    assert spread["happy"] > 0.002
    # The ranges of LivePortrait's own editor: smile -0.3 to 1.3, eyebrow -30 to 30.
    scale = float(portrait.motion.scale[0, 0])
    for name in FELT:
        assert -0.026 - 1e-6 <= moved(name)[corner, 1] / scale <= 0.006 + 1e-6
        assert moved(name)[brow].abs().max() / scale <= 0.03 * 1.3 + 1e-6


@pytest.mark.parametrize("emotion", FELT)
def test_the_clip_moves_on_under_the_emotion(
    portrait: Portrait, timing: Timing, modules: Modules, emotion: str
) -> None:
    plain = _keypoints(portrait, timing, modules)
    felt = _keypoints(portrait, timing, modules, emotion=emotion)
    offsets = _emotion_keypoints(portrait, modules, emotion=emotion)
    added = felt - plain
    assert torch.allclose(
        added[0], (offsets.expression + offsets.eyes + offsets.lips)[0], atol=1e-5
    )
    assert torch.allclose(added[0], added[-1], atol=1e-5)
    shut = added[20] - added[0]
    assert torch.allclose(shut, -offsets.eyes[0], atol=1e-5)  # a shut eye is shut in any emotion


def test_eyes_by_opening_are_opened_once(
    portrait: Portrait, timing: Timing, modules: Modules
) -> None:
    given = {"flag_eye_retargeting": True, "driving_multiplier": 0.0}
    felt = _keypoints(portrait, timing, modules, emotion="surprised", **given)
    offsets = _emotion_keypoints(portrait, modules, emotion="surprised")
    source = portrait.motion.keypoints
    wanted = offsets.openness * timing.ratios.eyes[:, :1] if timing.ratios else None
    assert wanted is not None
    eyes = eye_offsets(source, portrait.ratios, wanted, FRAMES, modules.retargeting)
    expected = source + offsets.expression + offsets.lips + eyes
    assert torch.allclose(felt[:, list(EYES)], expected[:, list(EYES)], atol=1e-5)


def test_a_wanted_opening_is_arrived_at_from_closed_lips_too(
    portrait: Portrait, timing: Timing, modules: Modules
) -> None:
    """In full strength the emotion alone says how far lips part."""
    open_lips = _keypoints(portrait, timing, modules, emotion="surprised")
    closed = _keypoints(portrait, timing, modules, emotion="surprised", flag_lip_zero=True)
    assert torch.allclose(open_lips, closed, atol=1e-5)


def test_visemes_wear_the_emotion(portrait: Portrait, modules: Modules) -> None:
    offsets = _emotion_keypoints(portrait, modules, emotion="surprised")
    plain = viseme_keypoints(portrait, modules.retargeting, stitching=True)
    felt = viseme_keypoints(portrait, modules.retargeting, stitching=True, emotion=offsets)
    added = felt - plain
    face = (offsets.expression + offsets.eyes)[0]
    rest = list(VISEMES).index("Rest")
    assert torch.allclose(added[rest], face + offsets.lips[0], atol=1e-5)
    spoken = [index for index, shape in enumerate(VISEMES.values()) if shape]
    assert torch.allclose(added[spoken], face.expand(len(spoken), 21, 3), atol=1e-5)


def test_the_roi_holds_the_lips_of_the_emotion(portrait: Portrait) -> None:
    roi, lips = mouth_roi(portrait, resolve({"emotion": "happy"}))
    _, plain = mouth_roi(portrait)
    assert roi.fits(portrait.size)
    assert np.ptp(lips[0, :, 0]) > 1.03 * np.ptp(plain[0, :, 0])


def test_without_ratios_the_eyes_keep_their_offset(portrait: Portrait, modules: Modules) -> None:
    offsets = _emotion_keypoints(portrait, modules, emotion="fearful")
    assert offsets.eyes_at(None) is offsets.eyes
    steady = Ratios(torch.full((4, 2), 0.3), torch.zeros(4, 1))
    assert torch.allclose(offsets.eyes_at(steady), offsets.eyes.expand(4, 21, 3), atol=1e-6)

"""Single expressions: keypoints equal those of the viseme cells; one frame is painted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.contracts.engine import Expression, Image
from sunriza_assets.studio.engines.liveportrait.emotions import emotion_keypoints
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.expressions import PreparedLivePortrait
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.visemes import viseme_keypoints
from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.parameters import DEFAULTS, RenderParameters
from sunriza_assets.studio.sample.clip import Sample

HAPPY = DEFAULTS | {"emotion": "happy", "emotion_strength": 0.5}


@pytest.fixture(scope="module")
def engine(models_root: Path, narrow: Modules) -> LivePortraitEngine:
    return LivePortraitEngine(models_root, device="cpu", modules=narrow)


@pytest.fixture(scope="module")
def picture(sample: Sample) -> Image:
    return read_picture(sample.portrait)


@pytest.fixture(scope="module")
def prepared(engine: LivePortraitEngine, picture: Image) -> PreparedLivePortrait:
    return engine.prepare(picture, DEFAULTS)


def unpainted(
    portrait: Portrait, modules: Modules, parameters: RenderParameters
) -> PreparedLivePortrait:
    def paint(keypoints: torch.Tensor) -> Image:
        raise AssertionError("no picture is wanted here")

    return PreparedLivePortrait(portrait, modules.retargeting, parameters, paint)


def test_keypoints_are_those_of_the_cells(portrait: Portrait, narrow: Modules) -> None:
    """Neutral and in an emotion; the emotion in the parameters is not used."""
    prepared = unpainted(portrait, narrow, DEFAULTS | {"emotion": "angry"})
    happy = emotion_keypoints(portrait, HAPPY, narrow.retargeting, closed=False)
    for emotion, strength, offsets in (("neutral", 1.0, None), ("happy", 0.5, happy)):
        cells = viseme_keypoints(portrait, narrow.retargeting, stitching=True, emotion=offsets)
        for viseme, keypoints in zip(VISEMES, cells, strict=True):
            drawn = prepared.keypoints(Expression(emotion, strength, viseme))
            assert torch.equal(drawn[0], keypoints)


def test_neutral_rest_is_the_portrait(portrait: Portrait, narrow: Modules) -> None:
    prepared = unpainted(portrait, narrow, DEFAULTS)
    for expression in (Expression(), Expression("angry", 0.0)):
        assert torch.equal(prepared.keypoints(expression), portrait.motion.keypoints)


def test_one_frame_is_painted_into_the_portrait(
    prepared: PreparedLivePortrait, picture: Image
) -> None:
    neutral, happy = prepared.draw(Expression()), prepared.draw(Expression("happy", viseme="AI"))
    for drawn in (neutral, happy):
        assert (drawn.shape, drawn.dtype) == (picture.shape, np.uint8)
        assert np.array_equal(drawn[:, :20], picture[:, :20])  # beside the crop
    assert not np.array_equal(neutral, happy)
    assert np.array_equal(neutral, prepared.draw(Expression()))  # nothing is left of the other one


def test_a_portrait_without_a_face_is_refused(engine: LivePortraitEngine) -> None:
    with pytest.raises(FaceError):
        engine.prepare(np.full((300, 300, 3), 90, np.uint8), DEFAULTS)

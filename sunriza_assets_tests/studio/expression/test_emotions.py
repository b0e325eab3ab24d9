"""The table of emotions: its names are the parameter's, its faces are faces."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.graph.config import IDLE_CONFIG
from sunriza_assets.studio.expression.emotions import EMOTIONS, Emotion, emotion_of
from sunriza_assets.studio.parameters import CHOICES, RenderParameters

FELT = [emotion for emotion in EMOTIONS.values() if emotion]


def test_every_emotion_can_be_asked_for() -> None:
    assert get_args(get_type_hints(RenderParameters)["emotion"]) == tuple(EMOTIONS)
    assert CHOICES["emotion"] == tuple(EMOTIONS)
    description = IDLE_CONFIG["emotion"].description
    assert description is not None
    assert all(name in description for name in EMOTIONS)


def test_neutral_and_no_strength_ask_for_nothing() -> None:
    assert emotion_of("neutral", 1.0) is None
    assert emotion_of("happy", 0.0) is None
    assert emotion_of("happy", 1.0) == (EMOTIONS["happy"], 1.0)


def test_emotions_are_told_apart_and_stay_within_a_face() -> None:
    assert len(set(FELT)) == len(FELT)
    for emotion in FELT:
        assert max(abs(emotion.inner_brow), abs(emotion.outer_brow)) <= 0.1
        assert 0.7 <= emotion.eyes <= 1.4
        assert abs(emotion.corners) <= 0.4
        assert emotion.opening is None or 0.0 <= emotion.opening <= 0.3
        assert 0.0 <= emotion.squint <= 0.35
        assert all(0.0 <= depth <= 1.0 for depth in emotion.creases.values())


@given(st.floats(0, 0.5), st.floats(0, 0.5))
def test_the_more_a_face_smiles_the_less_is_added_and_the_more_undone(a: float, b: float) -> None:
    less, more = sorted((a, b))
    for emotion in FELT:
        assert emotion.corner_lift(less) >= emotion.corner_lift(more)
        assert emotion.mouth_width(less) >= emotion.mouth_width(more)
    assert EMOTIONS["happy"] is not None
    assert EMOTIONS["happy"].corner_lift(more) > 0


@pytest.mark.parametrize("corners", [0.0, -0.1])
def test_a_smile_is_undone_to_arrive_where_the_table_says(corners: float) -> None:
    emotion = replace(Emotion(), corners=corners)
    assert 0.2 + emotion.corner_lift(0.2) == pytest.approx(corners)

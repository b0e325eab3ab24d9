"""Render parameters: layers, spellings, ranges, and rates that stay exact."""

from dataclasses import fields
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.parameters import (
    CHOICES,
    DEFAULTS,
    RANGES,
    RenderParameters,
    canonical,
    resolve,
)

valid = st.fixed_dictionaries(
    {},
    optional={
        "driving_multiplier": st.floats(0, 3),
        "scale_multiplier": st.floats(0, 2),
        "stitching_retargeting_eyes_width": st.integers(256, 4096),
        "animation_region": st.sampled_from(CHOICES["animation_region"]),
        "flag_relative": st.booleans(),
        "flag_pasteback": st.booleans(),
        "fps": st.one_of(st.just("source"), st.floats(1, 60)),
        "loop": st.booleans(),
        "loop_seconds": st.one_of(st.none(), st.floats(3, 10)),
        "lips": st.sampled_from(CHOICES["lips"]),
        "emotion": st.sampled_from(CHOICES["emotion"]),
        "emotion_strength": st.floats(0, 1),
        "denoise": st.floats(0, 20),
        "max_seconds": st.floats(1, 10),
        "engine": st.sampled_from(CHOICES["engine"]),
    },
)


def test_defaults_are_the_documented_ones() -> None:
    assert DEFAULTS.to_dict() == {
        "driving_multiplier": 1.7,
        "scale_multiplier": 0.41,
        "stitching_retargeting_eyes_width": 1600,
        "animation_region": "all",
        "flag_relative": True,
        "flag_stitching": True,
        "flag_pasteback": True,
        "flag_do_crop": True,
        "flag_lip_zero": False,
        "flag_eye_retargeting": False,
        "flag_normalize_lip": False,
        "fps": "source",
        "loop": True,
        "loop_seconds": None,
        "lips": "clip",
        "emotion": "neutral",
        "emotion_strength": 1.0,
        "denoise": 0.0,
        "max_seconds": 10.0,
        "engine": "auto",
    }
    assert resolve() == resolve(None, {}) == DEFAULTS


@given(valid)
def test_documents_carry_parameters_there_and_back(said: dict[str, Any]) -> None:
    parameters = resolve(said)
    assert resolve(parameters.to_document()) == parameters
    assert RenderParameters(**parameters.to_dict()) == parameters
    assert all("_" not in name for name in parameters.to_document())


@given(valid, valid, valid)
def test_the_last_layer_wins(first: Any, second: Any, third: Any) -> None:
    parameters = resolve(first, second, third)
    for field in fields(RenderParameters):
        said = [layer[field.name] for layer in (first, second, third) if field.name in layer]
        expected = resolve({field.name: said[-1]}) if said else DEFAULTS
        assert getattr(parameters, field.name) == getattr(expected, field.name)
    assert resolve(first) | second == resolve(first, second)


@given(st.sampled_from(sorted(RANGES)), st.floats(allow_nan=True))
def test_numbers_are_taken_inside_their_range_and_nowhere_else(name: str, value: float) -> None:
    low, high = RANGES[name]
    whole = name != "stitching_retargeting_eyes_width" or value.is_integer()
    if low <= value <= high and whole:
        assert getattr(resolve({name: value}), name) == value
    else:
        with pytest.raises(ParameterError) as caught:
            resolve({name: value})
        assert caught.value.code == "parameter.out_of_range"
        assert f"{low:g} to {high:g}" in caught.value.message


@pytest.mark.parametrize("name", sorted(RANGES))
@pytest.mark.parametrize("edge", [0, 1])
def test_both_ends_of_a_range_belong_to_it(name: str, edge: int) -> None:
    value = RANGES[name][edge]
    assert getattr(resolve({name: value}), name) == value


@pytest.mark.parametrize(
    ("spelled", "name", "value"),
    [
        ("drivingMultiplier", "driving_multiplier", 0.5),
        ("driving_multiplier", "driving_multiplier", 0.5),
        ("sourceMaxDim", "stitching_retargeting_eyes_width", 512),
        ("source_maxdim", "stitching_retargeting_eyes_width", 512),
        ("stitchingRetargetingEyesWidth", "stitching_retargeting_eyes_width", 512),
        ("flagNormalizeLip", "flag_normalize_lip", True),
        ("normalizeLip", "flag_normalize_lip", True),
        ("pasteback", "flag_pasteback", False),
        ("animationRegion", "animation_region", "lip"),
        ("flagRelativeMotion", "flag_relative", False),
    ],
)
def test_every_spelling_in_use_is_read(spelled: str, name: str, value: object) -> None:
    assert getattr(resolve({spelled: value}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("driving_multiplier", "1.5", 1.5),
        ("loop", "False", False),
        ("flag_relative", " true ", True),
        ("fps", "source", "source"),
        ("fps", "29.97", 29.97),
        ("loop_seconds", "best", None),
        ("loop_seconds", "4", 4.0),
        ("animation_region", "EYES", "eyes"),
        ("emotion", "Happy", "happy"),
        ("emotion_strength", "0.5", 0.5),
        ("stitching_retargeting_eyes_width", "1024", 1024),
    ],
)
def test_text_from_a_command_line_is_read(name: str, text: str, value: object) -> None:
    result = getattr(resolve({name: text}), name)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "said",
    [
        {"drivng_multiplier": 1},
        {"driving_multiplier": "much"},
        {"driving_multiplier": True},
        {"driving_multiplier": [1]},
        {"driving_multiplier": None},
        {"stitching_retargeting_eyes_width": 700.5},
        {"flag_relative": 1},
        {"flag_relative": "yes"},
        {"loop": None},
        {"animation_region": "nose"},
        {"emotion": "hungry"},
        {"emotion_strength": 1.5},
        {"denoise": 21},
        {"engine": 3},
        {"fps": 0},
        {"fps": "fast"},
        {"loop_seconds": "x" * 1000},
    ],
)
def test_what_is_no_parameter_is_refused_in_one_short_line(said: dict[str, Any]) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(said)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 450
    assert next(iter(said)) in caught.value.message


def test_one_thing_said_twice_must_be_said_alike() -> None:
    assert canonical({"sourceMaxDim": 512, "source_max_dim": 512}) == {
        "stitching_retargeting_eyes_width": 512
    }
    with pytest.raises(ParameterError, match="twice"):
        canonical({"sourceMaxDim": 512, "source_max_dim": 1024})


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("fps", "clip", "output"),
    [
        ("source", Fraction(25), Fraction(25)),
        ("source", NTSC, NTSC),
        ("source", Fraction(60), Fraction(30)),
        (25, NTSC, Fraction(25)),
        (29.97, Fraction(25), NTSC),
        (23.976, Fraction(25), Fraction(24000, 1001)),
        (59.94, Fraction(25), Fraction(60000, 1001)),
        (12.5, Fraction(25), Fraction(25, 2)),
    ],
)
def test_rates_stay_exact(fps: object, clip: Fraction, output: Fraction) -> None:
    assert resolve({"fps": fps}).output_rate(clip) == output

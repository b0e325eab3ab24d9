"""The cache key covers everything that decides a template, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.studio.motion.key import template_key

CLIP = "a" * 64
IDENTITY = {"extractor": "mesh", "version": "1", "attention": "0f"}

words = st.text(max_size=8)
values = st.one_of(words, st.booleans(), st.integers(), st.none())
maps = st.dictionaries(words, words, max_size=4)


def test_each_input_counts() -> None:
    keys = {
        template_key(CLIP, IDENTITY),
        template_key("b" * 64, IDENTITY),
        template_key(CLIP, IDENTITY | {"version": "2"}),
        template_key(CLIP, IDENTITY | {"attention": "1f"}),
        template_key(CLIP, IDENTITY, {"max_seconds": 9.5}),
        template_key(CLIP, IDENTITY, {"max_seconds": 9}),
    }
    assert len(keys) == 6
    assert all(len(key) == 64 for key in keys)


def test_spelling_does_not_count() -> None:
    backwards = dict(reversed(IDENTITY.items()))
    assert template_key(CLIP, IDENTITY) == template_key(CLIP, backwards)
    assert template_key(CLIP, IDENTITY, {"s": 9}) == template_key(CLIP, IDENTITY, {"s": 9.0})


@given(one=maps, other=maps, parameters=st.dictionaries(words, values, max_size=3))
def test_equal_keys_mean_equal_inputs(
    one: dict[str, str], other: dict[str, str], parameters: dict[str, object]
) -> None:
    same = template_key(CLIP, one, parameters) == template_key(CLIP, other, parameters)  # type: ignore[arg-type]
    assert same == (one == other)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        template_key(CLIP, IDENTITY, {"gain": float("nan")})

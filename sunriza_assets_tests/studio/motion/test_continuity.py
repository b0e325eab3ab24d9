"""Which part of a clip is used, what is filled, and that nothing is left out without a word."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.motion.continuity import fill_gaps, find_cuts, longest_tracked_segment

Thumbnail = NDArray[np.uint8]
RATE = Fraction(10)
"""Half a second are five frames, three seconds are thirty."""


def seen(*runs: int) -> list[bool]:
    """Present and absent frames in turn."""
    return [i % 2 == 0 for i, length in enumerate(runs) for _ in range(length)]


def test_a_face_throughout_is_the_whole_clip() -> None:
    part = longest_tracked_segment(seen(20), RATE)
    assert (part.start, part.stop, part.gaps, part.is_whole) == (0, 20, (), True)
    assert part.facts(RATE) == {"face_gaps_filled": []}


def test_half_a_second_is_filled_and_told() -> None:
    part = longest_tracked_segment(seen(10, 5, 10), RATE)
    assert part.is_whole
    assert part.facts(RATE)["face_gaps_filled"] == [{"start_s": 1.0, "seconds": 0.5}]


def test_a_longer_gap_leaves_the_longest_part_and_says_so() -> None:
    part = longest_tracked_segment(seen(20, 6, 35, 7, 31), RATE)
    assert (part.start, part.stop) == (26, 61)
    assert part.facts(RATE)["shortened_to"] == {"start_s": 2.6, "seconds": 3.5, "of_s": 9.9}


def test_first_second_without_a_face_is_left_out() -> None:
    part = longest_tracked_segment(seen(0, 10, 40), RATE)
    assert (part.start, part.stop) == (10, 50)


def test_first_half_second_is_filled() -> None:
    assert longest_tracked_segment(seen(0, 5, 10), RATE).gaps == ((0, 5),)


def test_last_second_without_a_face_is_left_out() -> None:
    part = longest_tracked_segment(seen(40, 10), RATE)
    assert (part.start, part.stop) == (0, 40)


def test_parts_shorter_than_three_seconds_are_refused_with_their_length() -> None:
    with pytest.raises(FaceError, match=r"2\.9 s at most, from 0 s") as refusal:
        longest_tracked_segment(seen(29, 6, 20), RATE)
    assert refusal.value.code == "face.lost"


def test_no_face_at_all() -> None:
    with pytest.raises(FaceError) as refusal:
        longest_tracked_segment(seen(0, 40), RATE)
    assert refusal.value.code == "face.none"


def test_a_cut_parts_the_clip_although_a_face_is_always_seen() -> None:
    part = longest_tracked_segment(seen(70), RATE, cuts=[32])
    assert (part.start, part.stop) == (32, 70)


def test_no_gap_is_filled_across_a_cut() -> None:
    part = longest_tracked_segment(seen(40, 4, 36), RATE, cuts=[42])
    assert (part.start, part.stop, part.gaps) == (0, 42, ((40, 42),))


@given(
    st.lists(st.booleans(), min_size=1, max_size=120), st.lists(st.integers(-3, 130), max_size=3)
)
def test_laws(present: list[bool], cuts: list[int]) -> None:
    try:
        part = longest_tracked_segment(present, RATE, cuts=cuts)
    except FaceError as error:
        assert error.code in {"face.none", "face.lost"}
        assert error.code == "face.lost" or not any(present)
        return
    assert 0 <= part.start < part.stop <= len(present)
    assert part.is_whole or part.stop - part.start >= 30
    assert not any(part.start < cut < part.stop for cut in cuts)
    absent = {i for i in range(part.start, part.stop) if not present[i]}
    assert absent == {i for a, b in part.gaps for i in range(a, b)}
    assert all(b - a <= 5 for a, b in part.gaps)
    # it cannot be made longer: what stands beside it is a cut, the clip's end or a long gap
    for beside in (part.start - 1, part.stop):
        if 0 <= beside < len(present):
            edge = beside + 1 if beside < part.start else beside
            assert edge in cuts or not present[beside]


@given(st.lists(st.booleans(), min_size=2, max_size=40).filter(any))
def test_filling_keeps_what_was_seen_and_is_linear(present: list[bool]) -> None:
    truth = np.linspace([0.0, 5.0], [10.0, -5.0], len(present))
    known = np.flatnonzero(present)
    filled = fill_gaps(np.where(np.array(present)[:, None], truth, np.nan), present)
    inside = slice(known[0], known[-1] + 1)
    assert np.allclose(filled[inside], truth[inside])
    assert np.allclose(filled[: known[0]], truth[known[0]])
    assert np.allclose(filled[known[-1] :], truth[known[-1]])


_DICE = np.random.default_rng(5)
ONE, OTHER = (_DICE.integers(0, 255, (24, 32)).astype(np.uint8) for _ in range(2))
DARK = np.full_like(ONE, 10)


def cuts_in(*shots: tuple[int, Thumbnail, bool]) -> list[int]:
    """Cuts between shots, each so many frames of one picture, with or without a face."""
    frames = [picture for count, picture, _ in shots for _ in range(count)]
    present = [face for count, _, face in shots for _ in range(count)]
    return find_cuts(np.stack(frames), present, RATE)


def test_cuts_are_found_and_a_flash_is_none() -> None:
    assert cuts_in((6, ONE, True), (6, OTHER, True)) == [6]
    assert cuts_in((4, ONE, True), (1, np.full_like(ONE, 255), True), (4, ONE, True)) == []
    drift = np.stack([np.roll(ONE, i // 3, axis=1) // 4 + 96 for i in range(12)])
    assert find_cuts(drift, [True] * 12, RATE) == []


def test_half_a_second_of_darkness_is_a_gap_and_no_cut() -> None:
    assert cuts_in((9, ONE, True), (5, DARK, False), (9, ONE, True)) == []
    assert cuts_in((9, ONE, True), (2, DARK, False), (3, OTHER, False), (9, ONE, True)) == []
    assert cuts_in((5, DARK, False), (9, ONE, True)) == []
    assert cuts_in((9, ONE, True), (5, DARK, False)) == []


def test_darkness_that_lasts_or_hides_a_cut_parts_the_clip() -> None:
    assert cuts_in((9, ONE, True), (6, DARK, False), (9, ONE, True)) == [9, 15]
    assert cuts_in((9, ONE, True), (5, DARK, False), (9, OTHER, True)) == [9, 14]
    # somebody else for a moment: a face is seen, but whose?
    assert cuts_in((9, ONE, True), (5, OTHER, True), (9, ONE, True)) == [9, 14]

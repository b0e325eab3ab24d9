"""From timestamps to exact rates, and laws of trimming that hold for any rate and start."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media.timeline import (
    MAX_RATE,
    STANDARD_RATES,
    build_timeline,
    nearest,
    usable_rate,
)
from sunriza_assets.studio.media.trim import MAX_SIDE, trim_in_process
from sunriza_assets_tests.studio.media.films import Film, number_of, write

TICKS = st.sampled_from(
    [Fraction(1, n) for n in (600, 1000, 12800, 15360, 30000, 44100, 90000, 10**6, 10**9)]
)


@given(
    rate=st.sampled_from(STANDARD_RATES),
    tick=TICKS,
    count=st.integers(30, 400),
    start=st.integers(-(10**6), 10**9),
    up=st.booleans(),
)
def test_a_constant_rate_survives_rounded_timestamps(
    rate: Fraction, tick: Fraction, count: int, start: int, *, up: bool
) -> None:
    """Containers round to their tick; the rate behind is found again exactly."""
    assume(tick * 4 < 1 / rate)
    stamps = [start + (round if up else int)(i / rate / tick) for i in range(count)]
    found = build_timeline(stamps, tick)
    apart = abs(found.rate / rate - 1) * count / rate  # seconds by which the last frames differ
    assert found.constant
    assert found.rate == rate or apart <= Fraction(2, 1000)
    assert found.duration == count / found.rate
    assert [nearest(found.time_of(stamp) * found.rate) for stamp in stamps] == list(range(count))


@given(
    numerator=st.integers(1, 240000), denominator=st.integers(1, 2000), count=st.integers(2, 300)
)
def test_an_odd_rate_is_kept_exactly(numerator: int, denominator: int, count: int) -> None:
    rate = Fraction(numerator, denominator)
    assume(Fraction(1, 2) <= rate <= 240)
    tick = 1 / (rate * 1000)
    assume(tick < Fraction(1, 1000))
    found = build_timeline([7 + 1000 * i for i in range(count)], tick)
    assert (found.rate, found.constant) == (rate, True)


@given(
    rate=st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(60)]),
    jitter=st.lists(st.integers(-300, 300), min_size=90, max_size=200),
)
def test_jitter_of_a_phone_loses_no_frame(rate: Fraction, jitter: list[int]) -> None:
    """Timestamps off by up to 3 ms at a steady rate: each frame keeps a place of its own."""
    jitter[0] = 0
    stamps = [round(90000 * i / rate) + j * 90 // 100 for i, j in enumerate(jitter)]
    found = build_timeline(stamps, Fraction(1, 90000))
    assert abs(found.rate - rate) <= Fraction(1, 10)
    slots = [nearest(found.time_of(stamp) * found.rate) for stamp in stamps]
    assert slots == list(range(len(stamps)))


@given(st.lists(st.integers(1, 12), min_size=3, max_size=120))
def test_any_timestamps_make_a_rate_that_keeps_the_frames(gaps: list[int]) -> None:
    stamps = [0]
    for gap in gaps:
        stamps.append(stamps[-1] + gap * 1500)  # multiples of a sixtieth of a second
    found = build_timeline(stamps, Fraction(1, 90000))
    assert found.rate > 0
    assert found.duration > found.time_of(stamps[-1])
    shared = Counter(nearest(found.time_of(stamp) * found.rate) for stamp in stamps)
    lost = sum(count - 1 for count in shared.values())
    assert lost <= len(stamps) * 0.02 or found.rate == STANDARD_RATES[-1]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_order_and_twins_do_not_matter(stamps: list[int]) -> None:
    tick = Fraction(1, 1000)
    assert build_timeline(stamps, tick) == build_timeline(sorted(set(stamps)), tick)


def test_one_frame_lasts_as_the_file_says() -> None:
    tick = Fraction(1, 1000)
    assert build_timeline([5], tick, last_duration=40).rate == 25
    assert build_timeline([5], tick, hint=Fraction(30)).duration == Fraction(1, 30)
    assert build_timeline([5], tick).rate == 25
    with pytest.raises(ValueError, match="no timestamps"):
        build_timeline([], tick)


def test_between_rates_that_both_fit_the_file_decides() -> None:
    """A second of 30 and of 29.97 differ by a millisecond, which is all that Matroska counts."""
    ntsc, tick = Fraction(30000, 1001), Fraction(1, 1000)
    for rate in (ntsc, Fraction(30)):
        stamps = [round(i / rate / tick) for i in range(24)]
        assert build_timeline(stamps, tick, hint=rate).rate == rate
    stamps = [round(i / ntsc / tick) for i in range(90)]
    assert build_timeline(stamps, tick, hint=Fraction(30)).rate == ntsc  # unless time tells


@given(st.fractions(Fraction(1, 100), Fraction(240), max_denominator=1001))
def test_usable_rate_is_a_whole_part_or_multiple(rate: Fraction) -> None:
    usable = usable_rate(rate)
    assert 1 <= usable <= MAX_RATE
    ratio = rate / usable if rate >= 1 else usable / rate
    assert ratio.denominator == 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rate=st.sampled_from(STANDARD_RATES),
    count=st.integers(2, 40),
    start=st.fractions(Fraction(0), Fraction(2), max_denominator=1000),
    seconds=st.fractions(Fraction(1, 10), Fraction(3), max_denominator=1000),
    b_frames=st.booleans(),
)
def test_cut_points_are_exact_to_the_frame(
    tmp_path: Path, rate: Fraction, count: int, start: Fraction, seconds: Fraction, *,
    b_frames: bool,
) -> None:  # fmt: skip
    """The first frame is the nearest to the start, the length right to half a frame."""
    assume(start + 1 / usable_rate(rate) < count / rate)
    source = tmp_path / "source.mp4"
    options = {"preset": "veryfast", "bf": "2", "g": "12"} if b_frames else {"g": "12"}
    write(source, Film(rate=rate, count=count, options=options))
    info = trim_in_process(
        source, tmp_path / "cut.mp4", start=str(start), max_seconds=str(seconds), keep_audio=False,
        max_side=MAX_SIDE, limits=DEFAULT_LIMITS, accept=lambda: None,
        progress=lambda done, total: None,
    )  # fmt: skip
    wanted = min(seconds, count / rate - start)
    assert info.rate == usable_rate(rate)
    assert abs(info.duration - wanted) <= 1 / (2 * info.rate)
    numbers = [number_of(frame) for frame in read_frames(tmp_path / "cut.mp4")]
    assert len(numbers) == info.frame_count
    step = rate / info.rate
    for k, number in enumerate(numbers):
        ideal = start * rate + k * step
        assert abs(number - ideal) <= Fraction(1, 2)

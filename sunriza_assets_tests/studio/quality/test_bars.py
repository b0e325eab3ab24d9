"""Bars: what is good enough passes, what is not is named, what was not measured is neither."""

import pytest

from sunriza_assets.studio.quality.bars import BARS, Bar, judge
from sunriza_assets.studio.quality.report import verdict_lines


def test_each_bar_is_held_against_its_own_figure() -> None:
    trials = [{"eye r": 0.9, "mouth r": 0.95}, {"eye r": 0.5, "mouth r": None}]
    assert len(judge(trials)) == len(BARS)
    assert len({(bar.figure, bar.over, bar.at_least) for bar in BARS}) == len(BARS)
    verdicts = {(v.bar.figure, v.bar.over): v for v in judge(trials)}
    assert verdicts["eye r", "median"].value == pytest.approx(0.7)
    assert verdicts["eye r", "median"].holds is False
    assert verdicts["eye r", "worst"].value == 0.5
    assert verdicts["mouth r", "median"].holds is True
    assert verdicts["mouth r", "median"].trials == 1
    assert verdicts["yaw r", "median"].holds is None


def test_the_worst_of_a_fault_is_its_largest() -> None:
    bar = Bar("seam", "worst", 1.2, at_least=False)
    assert bar.value([0.5, 1.3, 0.9]) == 1.3
    assert not bar.holds(1.3)
    assert bar.holds(1.2)


def test_verdicts_read_as_lines() -> None:
    lines = verdict_lines(judge([{"eye r": 0.5}]))
    assert lines[0].startswith("MISS eye r")
    assert any(line.startswith("-") for line in lines)

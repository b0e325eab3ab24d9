"""The built-in performances: what a viewer would hold against them, and their file."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sunriza_assets.errors import AvatarError, MediaError, ParameterError
from sunriza_assets.studio.motion.loop import seam_ratio
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.performances.curves import blinks, breath, drift, moves
from sunriza_assets.studio.performances.named import (
    DEFAULT_PERFORMANCE,
    PERFORMANCES,
    with_performance_defaults,
)
from sunriza_assets.studio.performances.plans import PLANS
from sunriza_assets.studio.performances.script import SCRIPT_NAME, MotionScript, is_script

CURVES = ("yaw", "pitch", "roll", "shift", "log_scale", "closure", "gaze", "smile", "brows")
NAMES = pytest.mark.parametrize("name", PERFORMANCES)


def spans(closed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, first after) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@NAMES
class TestWhatHappens:
    def test_it_lasts_six_to_eight_seconds(self, name: str) -> None:
        script = motion_script(name)
        assert 6 <= script.seconds <= 8
        assert script.seconds == PLANS[name].seconds
        assert script.rate == Fraction(25)

    def test_it_passes_its_seam_with_ordinary_steps(self, name: str) -> None:
        script = motion_script(name)
        for curve in CURVES:
            assert seam_ratio(getattr(script, curve)) <= 1.0, curve

    def test_it_blinks_as_people_do(self, name: str) -> None:
        """Two to four times, shut for a moment, lids falling in 100 to 150 ms, at no beat."""
        script = motion_script(name)
        shut = spans(script.closure > 0.95)
        assert 2 <= len(shut) <= 4
        frame_ms = 1000 / float(script.rate)
        for first, after in shut:
            assert (after - first) * frame_ms <= 120
            before = script.closure[: first + 1]
            open_ = int(np.flatnonzero(before < 0.15)[-1])
            assert 80 <= (first - open_) * frame_ms <= 150
        apart = np.diff([first for first, _ in shut] + [shut[0][0] + script.frame_count])
        assert np.ptp(apart) > 5, "a metronome blinks evenly"

    def test_the_head_moves_slowly_and_to_no_beat(self, name: str) -> None:
        script = motion_script(name)
        for axis in (script.yaw, script.pitch, script.roll):
            power = np.abs(np.fft.rfft(axis - axis.mean())) ** 2
            assert power.max() < 0.75 * power.sum(), "one frequency is a pendulum"
            speed = np.abs(np.diff(axis)).max() * float(script.rate)
            assert speed < 0.35, "radians a second; a nod is the fastest"
            assert 0.005 < np.abs(axis).max() < 0.1
        fast = np.abs(np.fft.rfft(script.yaw)) ** 2
        assert fast[round(2 * float(script.seconds)) :].sum() < 0.02 * fast[1:].sum(), "above 2 Hz"

    def test_eyes_stay_on_the_viewer(self, name: str) -> None:
        """What the head turns, the eyes turn back, but for glances of a few degrees."""
        script = motion_script(name)
        turned = np.stack([script.yaw, script.pitch], axis=1)
        glances = script.gaze + 0.42 * turned
        assert np.abs(glances).max() < 0.03
        assert (np.abs(glances) < 0.002).all(axis=1).mean() > 0.2

    def test_the_mouth_is_not_frozen_and_stays_where_cells_fit(self, name: str) -> None:
        script = motion_script(name)
        assert np.std(script.smile) > 0.01
        assert np.abs(script.smile).max() < 0.35
        assert (script.opening >= -1e-9).all()
        assert script.opening.max() < 0.01

    def test_it_breathes_twice(self, name: str) -> None:
        plan = PLANS[name]
        times = np.arange(25 * plan.seconds) / 25
        chest = breath(times, plan.seconds, plan.breaths)
        assert chest.min() >= 0
        assert chest.max() <= 1
        assert len(spans(chest > 0.5)) in (2, 3), "three where one goes over the seam"

    def test_it_is_the_same_file_every_time(self, name: str, tmp_path: Path) -> None:
        script = motion_script(name)
        file = tmp_path / SCRIPT_NAME
        script.save(file)
        again = MotionScript.load(file)
        assert again.sha256 == script.sha256 == motion_script(name).sha256
        assert again.name == name
        np.testing.assert_allclose(again.shift, script.shift, atol=1e-6)
        assert file.stat().st_size < 40_000


def test_the_three_differ() -> None:
    scripts = {name: motion_script(name) for name in ("calm", "cheerful", "attentive")}
    assert set(scripts) == set(PERFORMANCES) == set(PLANS)
    assert DEFAULT_PERFORMANCE in PERFORMANCES
    assert len({script.sha256 for script in scripts.values()}) == 3
    lively = {name: np.std(script.yaw) for name, script in scripts.items()}
    assert lively["cheerful"] > lively["calm"]
    assert np.ptp(scripts["cheerful"].smile) > 1.7 * np.ptp(scripts["calm"].smile)
    speed = {name: np.abs(np.diff(script.pitch)).max() for name, script in scripts.items()}
    assert speed["attentive"] > 2 * max(speed["calm"], speed["cheerful"]), "it nods"


@pytest.mark.parametrize("name", ["", "Calm", "../calm", "sad", "x" * 500])
def test_an_unknown_name_is_a_named_error(name: str) -> None:
    with pytest.raises(AvatarError) as caught:
        motion_script(name)
    assert caught.value.code == "avatar.performance"
    assert "calm, cheerful, attentive" in caught.value.message
    assert len(caught.value.message) < 200


def test_a_manner_lies_under_all_wishes() -> None:
    assert with_performance_defaults("cheerful", {})["emotion"] == "happy"
    assert with_performance_defaults("cheerful", {"fps": 30})["emotion_strength"] == 0.65
    assert with_performance_defaults("cheerful", {"emotion": "sad"}) == {"emotion": "sad"}
    assert with_performance_defaults("cheerful", {"emotionStrength": 1}) == {"emotion_strength": 1}
    assert (
        with_performance_defaults("calm", {})
        == with_performance_defaults(None, {})
        == with_performance_defaults("no such", {})
        == {}
    )
    with pytest.raises(ParameterError):
        with_performance_defaults("cheerful", {"happiness": 1})


class TestCurves:
    def test_moves_hold_between_and_over_the_seam(self) -> None:
        times = np.arange(0, 7, 0.01)
        curve = moves(times, 7.0, [(1.0, 0.5, 2.0), (6.5, 1.0, -1.0)])
        assert -1.0 < curve[0] < 1.0, "it is still on its way at the start"
        np.testing.assert_allclose(curve[(times > 0.51) & (times < 1)], -1.0)
        np.testing.assert_allclose(curve[(times > 1.51) & (times < 6.5)], 2.0)
        assert abs(curve[-1] - curve[0]) < 0.1
        assert np.abs(np.diff(curve)).max() < 0.15, "no jump"

    def test_a_drift_repeats_and_belongs_to_its_name(self) -> None:
        times = np.arange(0, 14, 0.04)
        curve = drift("a", times, 7.0, 0.5)
        np.testing.assert_allclose(curve[:175], curve[175:], atol=1e-9)
        assert np.sqrt(np.mean(curve[:175] ** 2)) == pytest.approx(0.5)
        assert not np.allclose(curve, drift("b", times, 7.0, 0.5))

    def test_a_blink_falls_faster_than_it_rises(self) -> None:
        times = np.arange(0, 2, 0.001)
        closure = blinks(times, [1.0])
        assert closure[np.argmin(abs(times - 1.02))] == pytest.approx(1.0)
        falling = np.ptp(times[(closure > 0.01) & (times < 1)])
        rising = np.ptp(times[(closure > 0.01) & (times > 1.04)])
        assert 0.1 <= falling <= 0.15 < rising


class TestFile:
    @pytest.mark.parametrize(
        "damage",
        [
            {"schema": 2},
            {"rate": [25, 0]},
            {"rate": [1_000_000, 1]},
            {"curves": {}},
            {"curves": {"yaw": "high"}},
            {"curves": None},
        ],
    )
    def test_damage_is_named(self, tmp_path: Path, damage: dict[str, object]) -> None:
        document = json.loads(motion_script("calm").to_bytes())
        file = tmp_path / SCRIPT_NAME
        file.write_text(json.dumps({**document, **damage}))
        with pytest.raises(MediaError) as caught:
            MotionScript.load(file)
        assert caught.value.code == "media.script"

    @pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, " " * 3_000_000])
    def test_what_is_no_script_is_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / SCRIPT_NAME
        file.write_text(text)
        with pytest.raises(MediaError):
            MotionScript.load(file)

    def test_curves_of_other_lengths_or_beyond_numbers_are_refused(self, tmp_path: Path) -> None:
        document = json.loads(motion_script("calm").to_bytes())
        file = tmp_path / SCRIPT_NAME
        for name, values in (("yaw", [0.0]), ("gaze", [0.0] * 175), ("roll", [float("nan")] * 175)):
            changed = {**document, "curves": {**document["curves"], name: values}}
            file.write_text(json.dumps(changed))
            with pytest.raises(MediaError):
                MotionScript.load(file)

    def test_a_script_is_told_from_a_clip_by_its_name(self) -> None:
        assert is_script(Path("a/b") / SCRIPT_NAME)
        assert not is_script(Path("a/b/trimmed.mp4"))
        assert not is_script(Path("a/b/hero_video.json"))

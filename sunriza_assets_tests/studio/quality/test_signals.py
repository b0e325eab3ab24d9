"""Curves of a clip: what follows is told from what does not, and the control finds nothing."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.quality.signals import Signals, compare, read_signals
from sunriza_assets.studio.sample.clip import Sample


@pytest.fixture(scope="module")
def seen(sample: Sample, models_root) -> tuple[Signals, Signals]:  # type: ignore[no-untyped-def]
    """The sample clip seen by the driving model and by the independent one."""
    models = ModelStore(models_root)
    return tuple(  # type: ignore[return-value]
        read_signals(read_frames(sample.clip), mesh(models), Fraction(25))
        for mesh in (FaceMesh, IndependentFaceMesh)
    )


def test_two_models_see_the_same_clip_alike(seen: tuple[Signals, Signals]) -> None:
    following = compare(*seen)
    assert all(r is not None and r > 0.85 for r in following.r.values()), following.r
    assert (following.missed, following.invented) == ((), ())
    assert [len(side.blinks) for side in seen] == [2, 2]
    assert all(r is not None and abs(r) < 0.45 for r in following.control.values())


def test_a_still_driver_is_not_judged(seen: tuple[Signals, Signals]) -> None:
    _, other = seen
    curves = ("eye", "mouth", "yaw", "lips")
    still = replace(other, **{name: np.zeros_like(getattr(other, name)) for name in curves})
    assert set(compare(still, other).r.values()) == {None}


def test_blinks_are_matched_one_by_one(seen: tuple[Signals, Signals]) -> None:
    _, clip = seen

    def blinking(certain: tuple[int, ...], maybe: tuple[int, ...] = ()) -> Signals:
        return replace(clip, blinks=certain, maybe_blinks=tuple(sorted({*certain, *maybe})))

    def unmatched(driver: Signals, output: Signals) -> tuple[tuple[int, ...], tuple[int, ...]]:
        following = compare(driver, output)
        return following.missed, following.invented

    assert unmatched(blinking((40, 90)), blinking((41, 88))) == ((), ())
    assert unmatched(blinking((40, 90)), blinking((41,))) == ((90,), ())
    assert unmatched(blinking((40,)), blinking((39, 70))) == ((), (70,))
    assert unmatched(blinking((40,)), blinking((70,))) == (
        (40,),
        (70,),
    )  # equal counts are not enough
    assert unmatched(blinking((40,)), blinking((38, 43))) == ((), (43,))  # one answers once
    assert unmatched(blinking((40,), maybe=(90,)), blinking((90,), maybe=(40,))) == ((), ())


def test_what_two_models_read_differently_is_not_judged(seen: tuple[Signals, Signals]) -> None:
    driver, output = seen
    elsewhere = np.roll(driver.mouth, 40)
    assert compare(driver, output, mouth=driver.mouth).r["mouth"] is not None
    assert compare(driver, output, mouth=elsewhere).r["mouth"] is None


def test_a_clip_without_a_face_is_refused(models_root) -> None:  # type: ignore[no-untyped-def]
    empty = (np.full((120, 160, 3), 90, dtype=np.uint8) for _ in range(5))
    with pytest.raises(FaceError):
        read_signals(empty, IndependentFaceMesh(ModelStore(models_root)), Fraction(25))

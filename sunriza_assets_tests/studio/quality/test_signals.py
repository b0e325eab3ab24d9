"""Curves of a clip: what follows is told from what does not, and the control finds nothing."""

from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.errors import FaceError
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.quality.signals import Signals, compare, look
from sunriza_assets.studio.sample.clip import Sample


@pytest.fixture(scope="module")
def seen(sample: Sample, models_root) -> tuple[Signals, Signals]:  # type: ignore[no-untyped-def]
    """The sample clip seen by the driving model and by the independent one."""
    models = ModelStore(models_root)
    return tuple(  # type: ignore[return-value]
        look(read_frames(sample.clip), mesh(models), Fraction(25))
        for mesh in (FaceMesh, IndependentFaceMesh)
    )


def test_two_models_see_the_same_clip_alike(seen: tuple[Signals, Signals]) -> None:
    following = compare(*seen)
    assert all(r is not None and r > 0.85 for r in following.r.values()), following.r
    assert following.blinks == (2, 2)
    assert all(r is not None and abs(r) < 0.45 for r in following.control.values())


def test_a_still_driver_is_not_judged(seen: tuple[Signals, Signals]) -> None:
    _, other = seen
    still = Signals(**{
        **{name: getattr(other, name) for name in ("rate", "points", "blinks", "jitter")},
        **{name: np.zeros_like(getattr(other, name)) for name in ("eye", "mouth", "yaw", "lips")},
    })  # fmt: skip
    assert set(compare(still, other).r.values()) == {None}


def test_what_two_models_read_differently_is_not_judged(seen: tuple[Signals, Signals]) -> None:
    driver, output = seen
    elsewhere = np.roll(driver.mouth, 40)
    assert compare(driver, output, mouth=driver.mouth).r["mouth"] is not None
    assert compare(driver, output, mouth=elsewhere).r["mouth"] is None


def test_a_clip_without_a_face_is_refused(models_root) -> None:  # type: ignore[no-untyped-def]
    empty = (np.full((120, 160, 3), 90, dtype=np.uint8) for _ in range(5))
    with pytest.raises(FaceError):
        look(empty, IndependentFaceMesh(ModelStore(models_root)), Fraction(25))

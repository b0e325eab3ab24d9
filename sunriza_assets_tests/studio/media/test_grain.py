"""Grain is taken out of what moves, as little of it as will do, and edges stay."""

from typing import Final

import numpy as np
import pytest
import skimage.data

from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.grain import (
    STRENGTHS,
    denoise_picture,
    render_with_least_denoising,
)
from sunriza_assets.studio.parameters import DEFAULTS, RenderParameters

FACE: Final = skimage.data.astronaut()[0:200, 130:330]


def noisy(deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, deviation, FACE.shape)
    return np.clip(np.rint(FACE + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("deviation", "strength"), [(5.0, 6.0), (10.0, 12.0)])
def test_grain_goes_and_the_face_stays(deviation: float, strength: float) -> None:
    grainy = noisy(deviation)
    smooth = denoise_picture(grainy, strength)
    before, after = (np.abs(picture.astype(float) - FACE).mean() for picture in (grainy, smooth))
    assert after < 0.9 * before
    edges = [np.abs(np.diff(p.mean(axis=2), axis=1)).max(axis=1).mean() for p in (FACE, smooth)]
    assert edges[1] > 0.8 * edges[0]


def test_none_is_none() -> None:
    assert denoise_picture(FACE, 0.0) is FACE


def test_only_where_it_is_asked_for() -> None:
    grainy, where = noisy(5.0), np.zeros(FACE.shape[:2])
    where[:, 100:] = 1.0
    smooth = denoise_picture(grainy, 6.0, where=where)
    np.testing.assert_array_equal(smooth[:, :100], grainy[:, :100])
    np.testing.assert_array_equal(smooth[:, 100:], denoise_picture(grainy, 6.0)[:, 100:])


class Maker:
    """Can encode what has had so much taken out."""

    def __init__(self, needs: float, code: str = "too_detailed") -> None:
        self.needs, self.code = needs, code
        self.tried: list[float] = []

    def __call__(self, parameters: RenderParameters) -> str:
        self.tried.append(parameters.denoise)
        if parameters.denoise < self.needs:
            raise MediaError("The clip may not be published", code=self.code)
        return f"made at {parameters.denoise:g}"


@pytest.mark.parametrize(
    ("wanted", "needs", "tried"),
    [
        (0.0, 0.0, [0.0]),
        (0.0, 4.0, [0.0, 3.0, 6.0]),
        (5.0, 0.0, [5.0]),
        (5.0, 12.0, [5.0, 6.0, 12.0]),
        (20.0, 20.0, [20.0]),
    ],
)
def test_as_little_as_will_do(wanted: float, needs: float, tried: list[float]) -> None:
    reports: list[str] = []
    maker = Maker(needs)
    made, used = render_with_least_denoising(DEFAULTS | {"denoise": wanted}, maker, reports.append)
    assert maker.tried == tried
    assert made == f"made at {tried[-1]:g}"
    assert used == DEFAULTS | {"denoise": tried[-1]}
    assert len(reports) == len(tried) - 1


def test_when_nothing_will_do_that_is_said() -> None:
    maker = Maker(needs=100.0)
    with pytest.raises(MediaError, match="may not be published"):
        render_with_least_denoising(DEFAULTS, maker, lambda _: None)
    assert maker.tried == list(STRENGTHS)


def test_another_error_is_not_tried_again() -> None:
    maker = Maker(needs=1.0, code="unreadable")
    with pytest.raises(MediaError):
        render_with_least_denoising(DEFAULTS, maker, lambda _: None)
    assert maker.tried == [0.0]

"""What is behind a person has the texture of what is beside them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.drawing.mirrored import mirrored_in

SIDE, RADIUS = 240, 60


def scene() -> tuple[Image, NDArray[np.uint8], Image]:
    """A textured background, a red disc of a person in it, and a smooth guess of what it hides."""
    noise = np.random.default_rng(0).normal(120.0, 60.0, (SIDE, SIDE, 3))
    leaves = cv2.GaussianBlur(noise, (0, 0), 1.0)
    picture = np.clip(120.0 + 3.0 * (leaves - 120.0), 0, 255).astype(np.uint8)
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(alpha, (SIDE // 2, SIDE // 2), RADIUS, 255, -1)
    picture[alpha > 0] = (250, 0, 0)
    return picture, alpha, np.full_like(picture, 120)


def texture(picture: Image, where: NDArray[np.bool_]) -> float:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 2.0))[where].std())


def test_the_band_that_a_moving_head_bares_has_the_texture_of_its_surroundings() -> None:
    picture, alpha, guess = scene()
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    apart = np.hypot(x, y)
    band, ring = (apart > 35) & (apart < 55), (apart > 70) & (apart < 100)
    filled = mirrored_in(picture, alpha, guess)
    assert 0.7 < texture(filled, band) / texture(picture, ring) < 1.3
    assert texture(guess, band) < 0.1 * texture(picture, ring)  # the control: frosted
    red = filled[..., 0].astype(int) - filled[..., 1]
    assert np.mean(red[band] > 150) < 0.02  # the person is not mirrored


def test_nothing_changes_without_a_person_or_without_a_background() -> None:
    picture, alpha, guess = scene()
    for everything in (0, 255):
        matte = np.full_like(alpha, everything)
        assert mirrored_in(picture, matte, guess) is guess

"""Each figure on pictures and curves whose answer is known."""

import numpy as np
import pytest

from sunriza_assets.studio.face.topology import FACE_OVAL
from sunriza_assets.studio.quality import figures

SIZE = (160, 120)
ALL = np.ones((SIZE[1], SIZE[0]), dtype=bool)


def textured(seed: int = 0) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2))


def test_a_picture_is_like_itself() -> None:
    picture = textured()
    assert figures.psnr(picture, picture, ALL) == 99.0
    assert figures.ssim(picture, picture, ALL) == pytest.approx(1.0)
    assert figures.gradient_similarity(picture, picture, ALL) == pytest.approx(1.0)


def test_psnr_is_the_textbook_value() -> None:
    grey = np.full((SIZE[1], SIZE[0], 3), 100, dtype=np.uint8)
    assert figures.psnr(grey, grey + 10, ALL) == pytest.approx(20 * np.log10(25.5), abs=1e-6)


def test_all_three_fall_as_a_picture_moves_away() -> None:
    picture = textured()
    near, far = (np.roll(picture, shift, axis=1) for shift in (1, 5))
    for measure in (figures.psnr, figures.ssim, figures.gradient_similarity):
        assert measure(picture, picture, ALL) > measure(picture, near, ALL)
        assert measure(picture, near, ALL) > measure(picture, far, ALL)


def test_only_the_area_counts() -> None:
    picture = textured()
    spoiled = picture.copy()
    spoiled[:20] = 0
    area = ALL.copy()
    area[:40] = False
    assert figures.psnr(picture, spoiled, area) == 99.0


def test_a_face_covers_its_oval() -> None:
    points = np.zeros((468, 3))
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    points[FACE_OVAL, 0] = 80 + 40 * np.cos(angle)
    points[FACE_OVAL, 1] = 60 + 50 * np.sin(angle)
    area = figures.face_area(points, SIZE)
    assert area.sum() == pytest.approx(np.pi * 40 * 50, rel=0.04)
    assert area[60, 80]
    assert not area[0, 0]


def test_correlation_knows_sign_scale_and_stillness() -> None:
    curve = np.sin(np.arange(50) / 5)
    assert figures.correlation(curve, 3 * curve + 7) == pytest.approx(1.0)
    assert figures.correlation(curve, -curve) == pytest.approx(-1.0)
    assert figures.correlation(curve, np.ones(50)) == 0.0


def test_jitter_is_blind_to_even_motion() -> None:
    even = np.arange(20.0)[:, None, None] * np.ones((20, 468, 2))
    assert figures.jitter(even, 100.0) == pytest.approx(0.0)
    shaky = even + np.random.default_rng(0).normal(size=even.shape)
    assert 0.02 < figures.jitter(shaky, 100.0) < 0.05


def test_blur_lowers_sharpness() -> None:
    import cv2

    picture = textured()
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2))
    assert figures.sharpness(soft, ALL) < 0.5 * figures.sharpness(picture, ALL)


def test_landmark_error_is_in_eye_distances() -> None:
    points = np.zeros((478, 3))
    assert figures.landmark_error(
        points, points + np.array([3.0, 4.0, 99.0]), 50.0
    ) == pytest.approx(0.1)

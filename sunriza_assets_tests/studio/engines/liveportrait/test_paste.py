"""Paste-back equals the published code's, and touches nothing else."""

import numpy as np
import torch

from sunriza_assets.studio.engines.liveportrait import crop
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare, Scheme, cut
from sunriza_assets.studio.engines.liveportrait.paste import PasteBack, soft_square, to_bytes
from sunriza_assets_tests.studio.engines.liveportrait import recorded

CPU = torch.device("cpu")
POINTS_106 = Scheme(((33, 35, 40, 39), (87, 89, 94, 93)), (52, 61))


def _portrait() -> np.ndarray:
    return np.ascontiguousarray(recorded.picture("source", 640)[:480])


def _to_crop() -> np.ndarray:
    points = recorded.arrays("crop.npz")["crop/in/lmk106"]
    return FaceSquare.around(points, POINTS_106, crop.SOURCE).to_crop(512)


def test_the_pasted_picture() -> None:
    paste = PasteBack.onto(_portrait(), _to_crop(), 512, CPU)
    crops = torch.from_numpy(np.stack([recorded.picture("driving1", 512)] * 2))
    regions = paste.regions(crops).numpy()
    assert np.array_equal(regions[0], regions[1])
    frame = paste.frame(regions[0])
    off = np.abs(frame[::4, ::4].astype(int) - recorded.arrays("crop.npz")["paste/result_sub4"])
    assert off.max() <= 3
    assert (off > 0).mean() < 0.01


def test_the_mask() -> None:
    paste = PasteBack.onto(np.zeros_like(_portrait()), _to_crop(), 512, CPU)
    white = torch.full((1, 512, 512, 3), 255, dtype=torch.uint8)
    share = paste.frame(paste.regions(white)[0].numpy())[..., 0] / 255
    wanted = recorded.arrays("crop.npz")["paste/mask_ori_sub4_ch0"]
    off = np.abs(share[::4, ::4] - wanted)
    assert off.max() < 5 / 255  # a white crop's own edge fades into the black around it, too
    assert (off > 1.1 / 255).mean() < 3e-3


def test_the_soft_square_is_whole_inside_and_gone_at_the_edge() -> None:
    mask = soft_square()
    assert (mask[0] == 0).all()
    assert (mask[16:-16, 16:-16] == 255).all()
    assert np.array_equal(mask, mask.T)
    assert (np.diff(mask[256, :17].astype(int)) > 0).all()


def test_a_portraits_own_crop_goes_back_unseen() -> None:
    picture = _portrait()
    square = FaceSquare(320.0, 240.0, 300.0, 0.0)
    to_crop = square.to_crop(512)
    paste = PasteBack.onto(picture, to_crop, 512, CPU)
    own = torch.from_numpy(cut(picture, to_crop, 512))[None]
    frame = paste.frame(paste.regions(own)[0].numpy())
    assert np.abs(frame.astype(int) - picture).max() <= 3
    outside = np.ones(picture.shape[:2], dtype=bool)
    outside[88:392, 168:472] = False
    assert np.array_equal(frame[outside], picture[outside])
    assert paste.rows.stop - paste.rows.start <= 304


def test_a_square_beyond_the_picture_is_cut_off() -> None:
    picture = _portrait()
    paste = PasteBack.onto(picture, FaceSquare(-900.0, 240.0, 300.0, 0.2).to_crop(512), 512, CPU)
    white = torch.full((1, 512, 512, 3), 255, dtype=torch.uint8)
    assert np.array_equal(paste.frame(paste.regions(white)[0].numpy()), picture)


def test_bytes_are_truncated() -> None:
    values = torch.tensor([-0.1, 0.0, 0.9999 / 255, 254.9999 / 255, 1.0, 7.0])
    assert to_bytes(values).tolist() == [0, 0, 0, 254, 255, 255]

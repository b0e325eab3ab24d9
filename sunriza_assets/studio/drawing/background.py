"""The picture in two layers: the person, which is warped, over a still background plate.

With the matte a, the picture is I = F + (1 - a) B: a plate B with the person painted out, and F,
the person's colour already weighted by a. F is *defined* as I - (1 - a) B, so the layers give the
picture back exactly at rest, whatever the quality of matte and plate; and a line behind the head
stays straight when the head moves, because only F and a are warped.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.drawing.mirrored import mirrored_in
from sunriza_assets.studio.drawing.sampling import read_at
from sunriza_assets.studio.drawing.warp import MIN_DISPLACEMENT, BackwardMap
from sunriza_assets.studio.expression.easing import rise

__all__ = ["Layers"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_PLATE_SIZE: Final = 384
"""Longest side at which the person is inpainted; the result is a guess and needs no detail."""
_MATTE_RANGE: Final = (0.2, 0.8)
"""Matte values that count as surely background and surely person."""
_ROUGH_MATTE_RANGE: Final = (0.04, 0.25)
"""The same for the unrefined matte: refinement never turns its background into person."""
_COLOUR_BLEED: Final = 0.005
"""Rim around the person that has taken on its colour, share of the picture's longest side: it must
not stay in the plate when the person moves."""
_BAND_ROWS: Final = 256
"""Rows that are mixed at a time."""
_BLOCK: Final = 8
"""Pixels along a square that is moved as a whole or left alone."""
_STRIP_BLOCKS: Final = 4
"""Rows of such squares that are read at a time."""
_MARGIN: Final = 0.018
"""Rim around the person that the plate is not taken from, share of the picture's longest side."""

_GUIDE_SIZE: Final = 1280
"""Longest side at which the matte is compared with the picture."""
_FILTER_RADIUS: Final = 0.012
"""Radius in which the matte looks for the picture's own edges, share of its longest side."""
_MAX_HOLE: Final = 0.01
"""Largest hole in the person that is closed, share of the picture."""
_FILTER_EPSILON: Final = 2e-3
"""Variance of brightness (0-1) that counts as an edge."""


class Layers:
    """A picture split into person and plate, ready to be warped.

    Args:
        picture: (H, W, 3) uint8.
        matte: (H, W) 0-1, how surely a pixel is person; None treats everything as person.
    """

    def __init__(self, picture: Image, matte: NDArray[Any] | None) -> None:
        self._plate: Image | None = None
        alpha = np.full(picture.shape[:2], 255, np.uint8)
        person = picture.astype(np.int16)
        if matte is not None:
            rough = matte.astype(np.float32)
            refined = rise(_refined_by_edges(rough, picture), *_MATTE_RANGE)
            refined = np.minimum(refined, rise(rough, *_ROUGH_MATTE_RANGE))
            alpha = _without_holes(np.rint(255.0 * refined).astype(np.uint8))
            if alpha.min() < 255:
                self._plate = _inpainted(picture, alpha)
                person -= _visible_plate(self._plate, alpha)
        self._moving = np.dstack([person, alpha.astype(np.int16)])
        self._person_blocks = _person_blocks(self._moving)

    @property
    def moving(self) -> NDArray[np.int16]:
        """(H, W, 4) the person's share of the colour, and the matte 0-255. The share may leave
        0-255 where matte or plate are wrong: the sum is still right."""
        return self._moving

    @property
    def plate(self) -> Image | None:
        """(H, W, 3) the picture without its person; None where nothing but person is seen."""
        return self._plate

    @contextmanager
    def showing(self, parts: Iterable[tuple[tuple[slice, slice], Image]]) -> Iterator[None]:
        """Replace parts of the picture within the context: (window, its content (h, w, 3))."""
        kept = []
        for window, content in parts:
            moving = self._moving[window]
            kept.append((window, moving.copy()))
            moving[..., :3] = content
            if self._plate is not None:
                alpha = np.ascontiguousarray(moving[..., 3]).astype(np.uint8)
                moving[..., :3] -= _visible_plate(self._plate[window], alpha)
        try:
            yield
        finally:
            for window, moving in reversed(kept):
                self._moving[window] = moving

    def paint(self, frame: Image, moved: BackwardMap) -> None:
        """Lay the warped person over the plate, in place.

        Args:
            frame: (H, W, 3) the picture at rest; what does not change is left alone.
            moved: where the frame's pixels come from.
        """
        for piece in self._changing(moved):
            warped = read_at(self._moving, piece.sources)
            frame[piece.window] = self.compose(warped, piece.window)

    def compose(self, warped: NDArray[np.int16], window: tuple[slice, slice]) -> Image:
        """(h, w, 3) warped (h, w, 4) `moving` laid over the plate in a window of the picture."""
        person = np.empty((*warped.shape[:2], 3), np.int16)
        alpha = np.empty((*warped.shape[:2], 1), np.int16)
        cv2.mixChannels([warped], [person, alpha], [0, 0, 1, 1, 2, 2, 3, 3])
        if self._plate is not None:
            matte = np.clip(alpha[:, :, 0], 0, 255).astype(np.uint8)
            if matte.min() < 255:
                cv2.add(person, _visible_plate(self._plate[window], matte), dst=person)
        return np.clip(person, 0, 255).astype(np.uint8)

    def _changing(self, moved: BackwardMap) -> Iterator[BackwardMap]:
        """The parts of a map that change anything: where it moves and the person was or comes.
        Elsewhere plate comes to where plate was, which stands still."""
        height, width = moved.sources.shape[:2]
        rows, columns = (_block_centres(length) for length in (height, width))
        sources = moved.sources[rows[:, None], columns]
        here = np.stack(np.meshgrid(columns + moved.x, rows + moved.y), axis=2)
        changing = self._holds_person(sources)
        changing |= self._holds_person(here)
        changing[np.abs(sources - here).max(axis=2) <= MIN_DISPLACEMENT] = False
        changing = _dilated(changing)
        for first in range(0, len(rows), _STRIP_BLOCKS):
            found = np.flatnonzero(changing[first : first + _STRIP_BLOCKS].any(axis=0))
            if len(found):
                strip = slice(first * _BLOCK, (first + _STRIP_BLOCKS) * _BLOCK)
                yield moved.part(
                    strip, slice(int(found[0]) * _BLOCK, (int(found[-1]) + 1) * _BLOCK)
                )

    def _holds_person(self, places: NDArray[Any]) -> NDArray[np.bool_]:
        """(h, w) whether the blocks at places (h, w, 2) hold anything of the person."""
        height, width = self._person_blocks.shape
        x = np.clip(places[..., 0] // _BLOCK, 0, width - 1).astype(np.intp)
        y = np.clip(places[..., 1] // _BLOCK, 0, height - 1).astype(np.intp)
        return np.asarray(self._person_blocks[y, x])


def _person_blocks(moving: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which squares of `_BLOCK` pixels, or their neighbours, hold anything of the person."""
    anything = (moving != 0).any(axis=2)
    height, width = anything.shape
    padded = np.pad(anything, ((0, -height % _BLOCK), (0, -width % _BLOCK)))
    squares = padded.reshape(len(padded) // _BLOCK, _BLOCK, -1, _BLOCK)
    return _dilated(np.asarray(squares.any(axis=(1, 3))))


def _dilated(squares: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The squares and their neighbours."""
    around = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(squares.astype(np.uint8), around), dtype=np.bool_)


def _block_centres(length: int) -> NDArray[np.intp]:
    """Pixels in the middle of the squares along `length` pixels; the last one may be cut off."""
    return np.minimum(np.arange(0, length, _BLOCK) + _BLOCK // 2, length - 1)


def _visible_plate(plate: Image, alpha: NDArray[np.uint8]) -> NDArray[np.int16]:
    """(h, w, 3) the plate, weighted by 1 - alpha."""
    share = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(plate, share, scale=1.0 / 255.0, dtype=cv2.CV_16S))


def _refined_by_edges(matte: Plane, picture: Image) -> Plane:
    """The matte drawn to the picture's own edges: a guided filter with the picture's brightness as
    the guide, its coefficients found at a reduced size (K. He, J. Sun, "Fast Guided Filter",
    arXiv:1505.00996, 2015)."""
    height, width = matte.shape
    scale = min(1.0, _GUIDE_SIZE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    guide = cv2.resize(grey, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    rough = cv2.resize(matte, small, interpolation=cv2.INTER_AREA)
    radius = max(2, round(_FILTER_RADIUS * max(small)))
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Any) -> Plane:
        return np.asarray(cv2.blur(values, size, borderType=cv2.BORDER_REFLECT), np.float32)

    guide_mean, matte_mean = mean(guide), mean(rough)
    slope = mean(guide * rough) - guide_mean * matte_mean
    slope /= mean(guide * guide) - guide_mean**2 + _FILTER_EPSILON
    offset = mean(matte_mean - slope * guide_mean)
    refined = cv2.resize(mean(slope), (width, height)).astype(np.float32, copy=False)
    refined *= grey
    refined *= np.float32(1.0 / 255.0)
    refined += cv2.resize(offset, (width, height))
    return np.clip(refined, 0.0, 1.0, out=refined)


def _without_holes(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The matte with small holes filled, so that earrings move with the person."""
    height, width = alpha.shape
    open_ = (alpha < 128).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(open_, connectivity=4)
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    enclosed = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    small = stats[:, cv2.CC_STAT_AREA] < _MAX_HOLE * alpha.size
    filled = enclosed & small
    filled[0] = False  # what is not open at all
    holes = filled[labels].astype(np.uint8)
    if not holes.any():
        return alpha
    holes = cv2.dilate(holes, np.ones((5, 5), np.uint8))  # their soft rim, too
    return np.where(holes > 0, np.uint8(255), alpha)


def _inpainted(picture: Image, alpha: NDArray[np.uint8]) -> Image:
    """The picture with the person replaced by a guess, laid over the original only where the person
    stands: the background mirrored in the outline, and where that would show the person again,
    colours from around (A. Telea, J. Graphics Tools 9, 2004), at a reduced size."""
    height, width = alpha.shape
    scale = min(1.0, _PLATE_SIZE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    margin = 2 * max(1, round(_MARGIN * max(size))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin, margin))
    hidden = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    hidden = cv2.dilate((hidden > 8).astype(np.uint8), kernel)
    if hidden.all():
        return picture
    guess = cv2.inpaint(small, hidden, 4, cv2.INPAINT_TELEA)
    guess = cv2.resize(guess, (width, height), interpolation=cv2.INTER_CUBIC)
    guess = mirrored_in(picture, alpha, np.asarray(guess, dtype=np.uint8))
    rim = max(1, round(_COLOUR_BLEED * max(height, width)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    share = cv2.dilate((alpha > 0).astype(np.float32), kernel)
    share = cv2.blur(share, (2 * rim + 1, 2 * rim + 1))
    plate = picture.copy()
    for top in range(0, height, _BAND_ROWS):  # bounds the memory of large pictures in float32
        band = slice(top, top + _BAND_ROWS)
        mixed = picture[band] + share[band, :, None] * (
            guess[band].astype(np.float32) - picture[band]
        )
        plate[band] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return plate

"""What every engine promises: motion from a clip or a script, and a portrait rendered with it.

An engine holds its models and nothing of an avatar, so one instance serves a whole process.
Rendering is streaming: frames are made when they are asked for and none is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["Engine", "Image", "Progress", "Rendering", "VisemeCells", "no_progress"]

Image = NDArray[np.uint8]
"""RGB, (H, W, 3), 0-255."""

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all; 0 when unknown), at most once a frame."""


def no_progress(done: int, total: int) -> None:
    """A `Progress` that tells nobody."""


@dataclass(frozen=True)
class Rendering:
    """An idle about to be rendered."""

    size: tuple[int, int]
    """(width, height) of every frame in pixels, both even."""
    rate: Fraction
    """Frames per second, exact."""
    frame_count: int
    """Number of frames that `frames()` yields."""
    frames: Callable[[], Iterator[Image]]
    """Starts the rendering; each call starts anew."""
    track: NDArray[np.float64]
    """(T, 2, 3) how the mouth region at rest moves in each frame; see `Roi.to_document`."""
    facts: Mapping[str, Any]
    """What the engine decided (loop start and length, seam, limits applied): JSON values."""


@dataclass(frozen=True)
class VisemeCells:
    """The mouth region of the portrait at rest, rendered once per viseme."""

    cells: Mapping[str, Image]
    """Viseme name -> (roi.h, roi.w, 3) picture, in atlas order."""
    roi: Roi
    """Where every cell lies in the picture at rest."""
    lips: NDArray[np.float64]
    """(N, 20, 2) outer lip contours of the N visemes, pixels inside the cell."""
    iod: float
    """Distance of the outer eye corners in pixels."""


class Engine(Protocol):
    """One way of animating a portrait."""

    @property
    def name(self) -> str:
        """What documents and templates call it."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever what it extracts or renders does."""
        ...

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version, model hashes: what, beside the clip, decides a template."""
        ...

    def extract(self, clip: Path, *, progress: Progress = no_progress) -> MotionTemplate:
        """Read the motion of a trimmed clip (constant frame rate, upright).

        Raises:
            MediaError: the clip cannot be decoded.
            FaceError: no face, or none that can be followed.
        """
        ...

    def perform(self, script: MotionScript) -> MotionTemplate:
        """The template of a motion script, as if a clip had shown what it says."""
        ...

    def render(
        self, portrait: Image, template: MotionTemplate, parameters: RenderParameters
    ) -> Rendering:
        """Plan the idle of a portrait; the frames are made when `Rendering.frames()` is walked.

        Raises:
            FaceError: the portrait shows no face or several.
            EngineError: the template is another engine's.
        """
        ...

    def visemes(self, portrait: Image, parameters: RenderParameters) -> VisemeCells:
        """Render the mouth of the portrait at rest in each of the visemes.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ...

"""What engines promise, one protocol for each thing that an engine may be able to do.

An engine implements what it can: extracting motion from a clip, making motion from a script or from
sound, painting a portrait by motion, repainting the mouth of finished frames, drawing single
expressions of a portrait that was prepared once. `capabilities_of` lists them. An engine holds its
models and nothing of an avatar, so one instance serves a whole process. Rendering streams:
frames are made on demand and none is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import Feeling, RenderParameters
from sunriza_assets.studio.performances.script import MotionScript

__all__ = [
    "AnimationEngine",
    "ClipMotionEngine",
    "Engine",
    "Expression",
    "ExpressionEngine",
    "Image",
    "MouthRepaintEngine",
    "PortraitEngine",
    "PreparedPortrait",
    "Progress",
    "Rendering",
    "ScriptMotionEngine",
    "SoundMotionEngine",
    "VisemeCells",
    "no_progress",
]

Image = NDArray[np.uint8]
"""RGB, (H, W, 3), 0-255."""

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all; 0 when unknown), at most once a frame."""


def no_progress(done: int, total: int) -> None:
    """A `Progress` that does nothing."""


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


@dataclass(frozen=True, slots=True)
class Expression:
    """One still expression of a face."""

    emotion: Feeling = "neutral"
    """A key of `expression.emotions.EMOTIONS`."""
    strength: float = 1.0
    """How much of the emotion, 0-1."""
    viseme: str = "Rest"
    """A key of `expression.visemes.VISEMES`; Rest leaves the mouth to the emotion."""


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


class ClipMotionEngine(Engine, Protocol):
    """Extracts motion from a clip."""

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


class ScriptMotionEngine(Engine, Protocol):
    """Makes motion from a script."""

    def perform(self, script: MotionScript) -> MotionTemplate:
        """The motion template of a script, in place of one extracted from a clip."""
        ...


class SoundMotionEngine(Engine, Protocol):
    """Makes motion from sound."""

    def motion_from_sound(
        self, sound: NDArray[np.float32], rate: Fraction, *, progress: Progress = no_progress
    ) -> MotionTemplate:
        """Make the motion of a face that speaks.

        Args:
            sound: (N,) mono samples at 16 kHz, -1 to 1.
            rate: frames per second of the motion, exact.
            progress: called after each frame.

        Raises:
            MediaError: the sound is empty or too long.
        """
        ...


class PortraitEngine(Engine, Protocol):
    """Paints a portrait by motion."""

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


class MouthRepaintEngine(Engine, Protocol):
    """Repaints the mouth of finished frames so that it speaks a sound."""

    def repaint(
        self, frames: Iterable[Image], sound: NDArray[np.float32], rate: Fraction
    ) -> Iterator[Image]:
        """Yield each frame with its mouth repainted.

        Args:
            frames: all of one size, the first at the sound's first sample.
            sound: (N,) mono samples at 16 kHz, -1 to 1.
            rate: frames per second, exact.

        Raises:
            FaceError: a frame shows no face.
        """
        ...


class PreparedPortrait(Protocol):
    """A portrait whose analysis is done; drawing an expression of it is cheap."""

    def draw(self, expression: Expression) -> Image:
        """(H, W, 3) the portrait with an expression."""
        ...


class ExpressionEngine(Engine, Protocol):
    """Prepares a portrait once and draws single expressions of it."""

    def prepare(self, portrait: Image, parameters: RenderParameters) -> PreparedPortrait:
        """Analyse a portrait; emotion and strength in the parameters are not used.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        ...


class AnimationEngine(ClipMotionEngine, ScriptMotionEngine, PortraitEngine, Protocol):
    """What making an avatar needs: motion from a clip or a script, painted on its portrait."""

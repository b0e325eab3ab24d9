"""Trials: render an avatar, encode and decode it, measure it with independent models.

Four kinds. *Self*: a clip drives its own first frame, so that the clip is the right answer.
*Cross*: a portrait is driven by another person's clip, one to one. *Loop*: the same at the default
parameters. *Overlay*: its visemes over its idle.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import SunrizaError
from sunriza_assets.studio.contracts.engine import Image, Rendering
from sunriza_assets.studio.drawing.portrait import prepare_rig
from sunriza_assets.studio.drawing.rig import PortraitRig
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.face.independent import IndependentFaceMesh
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.regions import CHIN
from sunriza_assets.studio.face.topology import MESH_POINTS
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.grain import render_with_least_denoising
from sunriza_assets.studio.media.seam import seam_ratio
from sunriza_assets.studio.media.sheet import contact_sheet
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters, resolve
from sunriza_assets.studio.quality import faces, figures
from sunriza_assets.studio.quality.overlay import rim_difference
from sunriza_assets.studio.quality.signals import Following, Signals, compare, read_signals

__all__ = ["Bench", "Clip", "Trial"]

Curves = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

_COMPARE_STEP: Final = 3
"""Pictures of a self-reenactment that are compared: every third is enough."""
_SHEET_FRAMES: Final = 8
"""Frames on a contact sheet."""
_SHEET_CELL_WIDTH: Final = 180
_FACE_WINDOW: Final = 3.0
"""Side of the square that a contact sheet shows of each frame, IOD."""
_MIN_STATIC_ERROR: Final = 0.03
"""Landmark error of the first frame, held, from which on a clip moves enough to beat it, IOD."""
_MOUTH_AGREED: Final = (0.7, 1.4)
"""Amplitude of a clip's mouth to one model over that to the other, within which they agree."""
_BACKGROUND_MATTE: Final = 0.02
"""Matte below which a pixel is background."""
_BACKGROUND_DISTANCE: Final = 0.35
"""Distance from the person at which nothing may change, IOD."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A trimmed clip: its motion template and the signals that the independent models see in it."""

    name: str
    file: Path
    template: MotionTemplate
    seen: Signals


@dataclass(frozen=True)
class Trial:
    """One rendering and what was found."""

    name: str
    figures: Mapping[str, float | None]
    """Figure -> value, None where it does not apply; names are those of the bars."""
    sheet: Image
    """Contact sheet: the driver above, the output below."""
    curves: Curves = field(default_factory=dict)
    """Name -> driver's curve, output's curve."""
    refused: str = ""
    """Why there is nothing to see: the portrait or clip could not be used."""

    @classmethod
    def refusal(cls, name: str, error: SunrizaError) -> "Trial":
        """A trial whose portrait or clip could not be used."""
        return cls(name, {}, np.zeros((1, 1, 3), dtype=np.uint8), refused=error.message)


class Bench:
    """Everything a trial needs, loaded once.

    Raises:
        ModelError: the face models, or the independent ones, have not been pulled.
    """

    def __init__(self, models_root: Path) -> None:
        models = ModelStore(models_root)
        self._engine = MeshEngine(models_root)
        self._mesh = FaceMesh(models)
        self._independent_mesh = IndependentFaceMesh(models)
        self._matte = PersonMatte(models)

    def read_clip(self, name: str, file: Path) -> Clip:
        """Extract a trimmed clip's motion, and measure it with the independent models.

        Raises:
            FaceError: no face, or none that can be followed.
        """
        template = self._engine.extract(file)
        return Clip(
            name,
            file,
            template,
            read_signals(read_frames(file), self._independent_mesh, template.rate),
        )

    def self_trial(self, clip: Clip) -> Trial:
        """The clip's own first frame driven by the clip."""
        portrait = next(read_frames(clip.file))
        with TemporaryDirectory() as folder:
            idle = Path(folder) / "idle.mp4"
            self._render(portrait, clip, _one_to_one_parameters(clip), idle)
            seen = read_signals(read_frames(idle), self._independent_mesh, clip.template.rate)
            following = _compare_with_clip(clip, seen)
            found = _figures_against_clip(clip, portrait, idle, seen)
            sheet = _sheet(clip, idle, seen)
        return Trial(
            f"{clip.name} itself", _following_figures(following) | found, sheet, _curves(clip, seen)
        )

    def cross_trial(self, name: str, portrait: Image, clip: Clip) -> Trial:
        """A portrait driven by a clip, frame by frame."""
        parameters = _one_to_one_parameters(clip)
        rig = prepare_rig(portrait, parameters, self._mesh, self._matte)
        with TemporaryDirectory() as folder:
            idle = Path(folder) / "idle.mp4"
            rendering = self._render(portrait, clip, parameters, idle)
            seen = read_signals(read_frames(idle), self._independent_mesh, clip.template.rate)
            following = _compare_with_clip(clip, seen)
            found = {
                **_following_figures(following),
                "sharpness over the portrait's": _sharpness(rig, idle, seen),
                "background difference, grey levels": self._background(rig, idle),
                "folded triangles, permille": float(rendering.facts["folded_permille"]),
                "background texture over its surroundings": _background_texture(rig),
                **_amplitudes(clip, seen, following),
            }
            sheet = _sheet(clip, idle, seen)
        return Trial(f"{name} by {clip.name}", found, sheet, _curves(clip, seen))

    def loop_trial(self, name: str, portrait: Image, clip: Clip) -> Trial:
        """A portrait at the parameters that every new avatar gets."""
        with TemporaryDirectory() as folder:
            idle = Path(folder) / "idle.mp4"
            rendering = self._render(portrait, clip, RenderParameters(), idle)
            ratio = seam_ratio(read_frames(idle))
            seen = read_signals(read_frames(idle), self._independent_mesh, rendering.rate)
            detail = faces.tooth_detail(read_frames(idle), seen.points)
            shown = _evenly_spaced(read_frames(idle), rendering.frame_count, 2 * _SHEET_FRAMES)
            sheet = contact_sheet(shown, columns=_SHEET_FRAMES, cell_width=_SHEET_CELL_WIDTH)
        found = {
            "seam after encoding": ratio,
            "folded triangles, permille": float(rendering.facts["folded_permille"]),
            "tooth detail in open mouths": detail,
        }
        return Trial(f"{name} by {clip.name}, looped", found, sheet)

    def overlay_trial(self, name: str, portrait: Image, clip: Clip) -> Trial:
        """Its viseme cells laid over a portrait's idle, at the parameters of every new avatar."""
        parameters = RenderParameters()
        visemes = self._engine.visemes(portrait, parameters)
        rendering = self._engine.render(portrait, clip.template, parameters)
        found = {
            "cell to idle at the rim, grey levels": rim_difference(rendering, visemes),
            "least difference of two cells, grey levels": faces.cell_distance(visemes),
        }
        cells = visemes.cells
        sheet = contact_sheet(cells.values(), 6, round(1.3 * _SHEET_CELL_WIDTH), labels=list(cells))
        return Trial(f"{name} by {clip.name}, visemes", found, sheet)

    def _render(
        self, portrait: Image, clip: Clip, parameters: RenderParameters, idle: Path
    ) -> Rendering:
        def make(parameters: RenderParameters) -> Rendering:
            rendering = self._engine.render(portrait, clip.template, parameters)
            encode(rendering.frames(), idle, rate=rendering.rate, encoder="libx264")
            return rendering

        return render_with_least_denoising(parameters, make, _log.warning)[0]

    def _background(self, rig: PortraitRig, idle: Path) -> float | None:
        """Mean change of what is clear of the person and above the chin; None if nothing is."""
        matte = self._matte.matte(rig.image)
        apart = cv2.distanceTransform((matte < _BACKGROUND_MATTE).astype(np.uint8), cv2.DIST_L2, 5)
        clear = apart > _BACKGROUND_DISTANCE * rig.iod
        clear[int(rig.mesh[CHIN, 1]) :] = False
        if np.count_nonzero(clear) < 100:
            return None
        rest = rig.image[clear].astype(np.float32)
        still = [float(np.abs(frame[clear] - rest).mean()) for frame in read_frames(idle)]
        return max(
            0.0, float(np.mean(still)) - still[0]
        )  # what coding alone does is in every frame


def _one_to_one_parameters(clip: Clip) -> RenderParameters:
    """Parameters at which output frame t answers to clip frame t with the clip's own motion."""
    return resolve(
        {
            "driving_multiplier": 1.0,
            "scale_multiplier": 1.0,
            "loop": False,
            "fps": float(clip.template.rate),
        }
    )


def _compare_with_clip(clip: Clip, seen: Signals) -> Following:
    return compare(clip.seen, seen, mouth=clip.template.arrays["mouth_opening"])


def _following_figures(following: Following) -> dict[str, float | None]:
    """A comparison's figures under the names of the bars."""
    controls = [abs(r) for r in following.control.values() if r is not None]
    return {
        **{f"{name} r": r for name, r in following.r.items()},
        "control r": float(np.median(controls)) if controls else None,
        "blinks missed or invented": float(len(following.missed) + len(following.invented)),
        "jitter over the clip's": following.jitter,
    }


def _amplitudes(clip: Clip, seen: Signals, following: Following) -> dict[str, float | None]:
    """How far lids and mouth go, over how far the clip's do, where it moves enough to tell.

    Lids as a share of how open the eyes usually are: large eyes do not blink harder. A mouth only
    where two models agree on how far the clip's opens: one of them takes a burnt-out one for shut.
    """
    found: dict[str, float | None] = dict.fromkeys(("eye", "mouth"))
    if following.r["eye"] is not None:
        theirs, ours = (curve / max(float(np.median(curve)), 1e-6)
                        for curve in (clip.seen.eye, seen.eye))  # fmt: skip
        found["eye"] = faces.amplitude(theirs, ours)
    agreed = faces.amplitude(clip.template.arrays["mouth_opening"], clip.seen.mouth)
    if following.r["mouth"] is not None and _MOUTH_AGREED[0] < agreed < _MOUTH_AGREED[1]:
        found["mouth"] = faces.amplitude(clip.seen.mouth, seen.mouth)
    return {f"{name} amplitude over the clip's": value for name, value in found.items()}


def _background_texture(rig: PortraitRig) -> float | None:
    """Texture of what the head bares, None without a background."""
    plate = rig.layers.plate
    if plate is None:
        return None
    alpha = rig.layers.moving[..., 3].astype(np.uint8)
    return faces.background_texture(plate, rig.image, alpha, rig.iod)


def _figures_against_clip(
    clip: Clip, portrait: Image, idle: Path, seen: Signals
) -> dict[str, float | None]:
    """Figures of a self-reenactment relative to its first frame held still."""
    truth, iod = clip.seen.points, clip.seen.iod
    errors, static = [], []
    gains: list[list[float]] = []
    for t, (ours, theirs) in enumerate(
        zip(read_frames(idle), read_frames(clip.file), strict=False)
    ):
        errors.append(figures.landmark_error(seen.points[t], truth[t], iod))
        static.append(figures.landmark_error(truth[0], truth[t], iod))
        if t and t % _COMPARE_STEP == 0:
            area = figures.face_area(truth[t], (theirs.shape[1], theirs.shape[0]))
            gains.append(
                [
                    measure(ours, theirs, area) - measure(portrait, theirs, area)
                    for measure in (figures.psnr, figures.ssim, figures.gradient_similarity)
                ]
            )
    moves = float(np.mean(static)) > _MIN_STATIC_ERROR
    psnr, ssim, gradients = (float(gain) for gain in np.mean(gains, axis=0))
    return {
        "landmark error over static": float(np.mean(errors) / np.mean(static)) if moves else None,
        "PSNR gain over static, dB": psnr if moves else None,
        "SSIM gain over static": ssim if moves else None,
        "gradient similarity gain over static": gradients if moves else None,
    }


def _sharpness(rig: PortraitRig, idle: Path, seen: Signals) -> float:
    """Median sharpness of the face over the portrait's."""
    height, width = rig.image.shape[:2]
    rest = figures.sharpness(rig.image, figures.face_area(rig.mesh, (width, height)))
    values = [
        figures.sharpness(frame, figures.face_area(seen.points[t], (width, height)))
        for t, frame in enumerate(read_frames(idle))
        if t % _COMPARE_STEP == 0
    ]
    return float(np.median(values) / max(rest, 1e-9))


def _curves(clip: Clip, seen: Signals) -> Curves:
    names = ("eye", "mouth", "yaw")
    return {name: (getattr(clip.seen, name), getattr(seen, name)) for name in names}


def _sheet(clip: Clip, idle: Path, seen: Signals) -> Image:
    """The driver's faces above the output's."""
    count = clip.template.frame_count
    rows = ((clip.file, _face_window(clip.seen)), (idle, _face_window(seen)))
    shown = (
        frame[window]
        for file, window in rows
        for frame in _evenly_spaced(read_frames(file), count, _SHEET_FRAMES)
    )
    return contact_sheet(shown, columns=_SHEET_FRAMES, cell_width=_SHEET_CELL_WIDTH)


def _face_window(seen: Signals) -> tuple[slice, slice]:
    """Rows and columns of a square around a face, as far as it moves; smaller at a picture's edge.

    In whole pictures the face could be too small to judge.
    """
    x, y = np.median(seen.points[:, :MESH_POINTS, :2].mean(axis=1), axis=0)
    half = 0.5 * _FACE_WINDOW * seen.iod
    low_x, low_y = (max(0, round(middle - half)) for middle in (x, y))
    return slice(low_y, round(y + half)), slice(low_x, round(x + half))


def _evenly_spaced(frames: Iterator[Image], count: int, shown: int) -> Iterator[Image]:
    """Evenly spread frames of a clip."""
    wanted = {round(k * (count - 1) / max(shown - 1, 1)) for k in range(shown)}
    yield from (frame for t, frame in enumerate(frames) if t in wanted)

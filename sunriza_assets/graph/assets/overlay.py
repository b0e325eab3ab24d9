"""Overlay assets, drawn over the idle while it speaks: viseme atlas, mouth mask, moving ROI.

All three are made from the portrait at rest and from idle.json, never from run config, so they
always match the idle that they are published with.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.services import Engines, ProgressReporter, Stores
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import Step, avatar_step
from sunriza_assets.graph.assets.metadata import data_version, preview_metadata, sha256_of
from sunriza_assets.graph.assets.portraits import read_portrait
from sunriza_assets.studio.parameters import STILL_PARAMETERS

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine, VisemeCells

__all__ = ["IdleSheet", "atlas", "mask", "roi"]


@dataclass(frozen=True)
class IdleSheet:
    """idle.json: how an idle was made."""

    content: dict[str, Any]

    @classmethod
    def load(cls, idle_video: Path) -> "IdleSheet":
        """Read idle.json from an idle's folder."""
        return cls(json.loads((idle_video / "idle.json").read_text()))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the idle in pixels."""
        width, height = self.content["size"]
        return width, height

    @property
    def frame_count(self) -> int:
        """Frames of the idle."""
        return int(self.content["frame_count"])

    @property
    def rate(self) -> Fraction:
        """Frames per second of the idle, exact."""
        return Fraction(*self.content["rate"])

    @property
    def mean_ssim(self) -> float:
        """Mean structural similarity of the idle to the frames it was encoded from."""
        return float(self.content["quality"]["mean_ssim"])


@avatar_asset(group=tags.GROUP_OVERLAY, kinds={"image", "json"})
def atlas(
    context: dg.AssetExecutionContext,
    hero_image: Path,
    idle_video: Path,
    stores: Stores,
    engines: Engines,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """The portrait's mouth in twelve visemes, a picture and its index (atlas.jpg, atlas.json)."""
    with avatar_step(context, stores, board) as step:
        reused = _reusable_result(step, engines, hero_image, idle_video)
        if reused is not None:
            return reused
        from sunriza_assets.studio.overlay.atlas import write_atlas

        visemes = _viseme_cells(step, engines, hero_image, idle_video)
        folder = step.folder / "atlas"
        folder.mkdir()
        with step.watch.stage("pack"):
            write_atlas(visemes, folder)
        return step.result(
            folder,
            version=data_version(folder / "atlas.jpg", folder / "atlas.json"),
            preview=preview_metadata(visemes.cells.values(), columns=4),
            metadata={
                "visemes": len(visemes.cells),
                "cell_width": visemes.roi.w,
                "cell_height": visemes.roi.h,
            },
        )


@avatar_asset(group=tags.GROUP_OVERLAY, kinds={"image"})
def mask(
    context: dg.AssetExecutionContext,
    hero_image: Path,
    idle_video: Path,
    stores: Stores,
    engines: Engines,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """Where a cell covers the idle: an 8-bit, feathered, lip-shaped picture as large as a cell."""
    with avatar_step(context, stores, board) as step:
        reused = _reusable_result(step, engines, hero_image, idle_video)
        if reused is not None:
            return reused
        from sunriza_assets.studio.overlay.mask import write_mask

        visemes = _viseme_cells(step, engines, hero_image, idle_video)
        file = step.folder / "mask.png"
        with step.watch.stage("draw"):
            picture = write_mask(visemes, file)
        return step.result(
            file,
            version=data_version(file),
            preview=preview_metadata([picture[..., None].repeat(3, axis=2)], columns=1),
            metadata={
                "width": visemes.roi.w,
                "height": visemes.roi.h,
                "covered_share": round(float(picture.mean()) / 255, 4),
            },
        )


@avatar_asset(group=tags.GROUP_OVERLAY, kinds={"json"})
def roi(
    context: dg.AssetExecutionContext,
    idle_video: Path,
    atlas: Path,
    stores: Stores,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """Where the mouth is: the rectangle of the atlas's cells at rest and one transform per idle
    frame (roi.json)."""
    with avatar_step(context, stores, board) as step:
        reused = step.reusable_result(
            {"sheet": idle_video / "idle.json", "index": atlas / "atlas.json"}
        )
        if reused is not None:
            return reused
        import numpy as np

        from sunriza_assets.studio.contracts.roi import write_roi
        from sunriza_assets.studio.overlay.atlas import read_cell_roi

        place = read_cell_roi(atlas)
        track = np.asarray(IdleSheet.load(idle_video).content["track"], dtype=np.float64)
        file = step.folder / "roi.json"
        write_roi(place, track, file)
        travel = np.linalg.norm(track[:, :, 2] - track[0, :, 2], axis=1)
        return step.result(
            file,
            version=data_version(file),
            metadata={
                "roi": dg.MetadataValue.json(place.to_document()),
                "track_frames": len(track),
                "travel_px": round(float(travel.max()), 2),
            },
        )


def _reusable_result(
    step: Step, engines: Engines, hero_image: Path, idle_video: Path
) -> dg.MaterializeResult[Path] | None:
    """The stored result of an asset made from viseme cells, if the cells would be the same.

    The cells show the portrait at rest, so only STILL_PARAMETERS count.
    """
    sheet = IdleSheet.load(idle_video).content
    engine = _engine_of_idle(step, engines, sheet)
    still = {name: sheet["parameters"][name] for name in STILL_PARAMETERS}
    return step.reusable_result(
        {"hero_image": hero_image}, engine=engines.identity(engine), parameters=still
    )


def _viseme_cells(
    step: Step, engines: Engines, hero_image: Path, idle_video: Path
) -> "VisemeCells":
    """The viseme cells of this portrait; one process renders them once for all three assets."""
    from sunriza_assets.studio.parameters import RenderParameters

    sheet = IdleSheet.load(idle_video).content
    engine = _engine_of_idle(step, engines, sheet)
    parameters = RenderParameters(**sheet["parameters"])
    key = (sha256_of(hero_image), engine.name, engine.version, parameters)
    with step.watch.stage("visemes", gpu=True):
        if key not in _viseme_cache:
            _viseme_cache.clear()  # one avatar's worth, or a long-lived worker would grow
            _viseme_cache[key] = engine.visemes(read_portrait(hero_image), parameters)
        return _viseme_cache[key]


def _engine_of_idle(step: Step, engines: Engines, sheet: Mapping[str, Any]) -> "AnimationEngine":
    """The engine that rendered the idle; the step's seconds are booked as its."""
    with step.watch.stage("load"):
        engine = engines.choose(sheet["engine"]).engine
    step.set_engine(engine)
    return engine


_viseme_cache: dict[tuple[object, ...], "VisemeCells"] = {}

"""A page of its own for every avatar: the idle, the visemes over it, what it took and cost."""

from pathlib import Path

import dagster as dg

from resources.services import ProgressBoard, Stores
from sunriza_assets import tags
from sunriza_assets.assets.edge import avatar_step
from sunriza_assets.assets.overlay import IdleSheet
from sunriza_assets.assets.told import data_version
from sunriza_assets.code_versions import CODE_VERSIONS
from sunriza_assets.partitions import AVATARS

__all__ = ["preview_page"]

_TIMED = (
    "hero_image",
    "hero_video",
    "trimmed_video",
    "motion_template",
    "idle_video",
    "atlas",
    "mask",
    "roi",
    "published_avatar",
)


@dg.asset(
    partitions_def=AVATARS,
    group_name=tags.GROUP_PUBLISHED,
    kinds={"html"},
    owners=tags.OWNERS,
    code_version=CODE_VERSIONS["preview_page"],
    op_tags=tags.CPU_STEP,
    io_manager_key="media_io",
    # After publishing: no fault of a preview may keep an avatar from its app.
    deps=["published_avatar"],
)
def preview_page(
    context: dg.AssetExecutionContext,
    trimmed_video: Path,
    idle_video: Path,
    atlas: Path,
    mask: Path,
    roi: Path,
    stores: Stores,
    board: ProgressBoard,
) -> dg.MaterializeResult[Path]:
    """preview.html: plays the avatar in a browser, from disk, and lets it speak what is typed.

    It does with the files what the app does, so it is the quickest proof that they fit.
    """
    from sunriza_assets.studio.overlay.player import write_player

    with avatar_step(context, stores, board) as step:
        sheet = IdleSheet.beside(idle_video).content
        page = step.folder / "preview.html"
        name = step.document.data.get("name")
        with step.watch.stage("write"):
            size = write_player(
                page,
                title=name if isinstance(name, str) and name else step.avatar_id,
                idle=idle_video / "idle.mp4",
                atlas=atlas,
                mask=mask,
                roi=roi,
                clip=trimmed_video,
                tables={
                    "Made with": {**sheet["parameters"], "engine": sheet["engine"]},
                    "Seconds": _summed(_told(context, step.avatar_id, "wall_s"), 2),
                    "Cost": _summed(_told(context, step.avatar_id, "cost"), 6),
                },
            )
        return step.result(page, version=data_version(page), metadata={"page_bytes": size})


def _summed(figures: dict[str, float], digits: int) -> dict[str, str]:
    """Figures as people read them, and their sum."""
    return {
        name: f"{value:.{digits}f}"
        for name, value in {**figures, "all": sum(figures.values())}.items()
    }


def _told(context: dg.AssetExecutionContext, avatar_id: str, name: str) -> dict[str, float]:
    """One figure of each asset's latest materialization for this avatar."""
    figures = {}
    for asset in _TIMED:
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[avatar_id]),
            limit=1,
        ).records
        materialization = records[0].asset_materialization if records else None
        if materialization is not None and name in materialization.metadata:
            figures[asset] = float(str(materialization.metadata[name].value))
    return figures

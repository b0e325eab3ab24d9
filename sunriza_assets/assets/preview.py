"""A page of its own for every avatar: the idle, the visemes over it, what it took and cost."""

from pathlib import Path
from urllib.parse import quote

import dagster as dg

from resources.services import ProgressBoard, Stores
from resources.stores import open_stores
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

    In a local store it links to the files of the avatar's other assets, which lie beside it; in a
    bucket, whose addresses are not paths, it holds them itself.
    It does with the files what the app does, so it is the quickest proof that they fit.
    """
    with avatar_step(context, stores, board) as step:
        files = {
            "idle": idle_video / "idle.mp4",
            "atlas": atlas / "atlas.jpg",
            "clip": trimmed_video,
        }
        links = {} if open_stores().shared else {name: _beside(at) for name, at in files.items()}
        name = step.document.data.get("name")
        title = name if isinstance(name, str) and name else step.avatar_id
        sheet = IdleSheet.beside(idle_video).content
        kept = step.unchanged(
            {**files, "index": atlas / "atlas.json", "mask": mask, "roi": roi},
            title=title, links=links, parameters=sheet["parameters"],
        )  # fmt: skip
        if kept is not None:
            return kept
        from sunriza_assets.studio.overlay.player import CLIP_BYTES, write_player

        page = step.folder / "preview.html"
        # A page that holds its files is exported with a small copy of a large clip; encoding one
        # for every run is not worth the wait.
        has_clip = bool(links) or trimmed_video.stat().st_size <= CLIP_BYTES
        with step.watch.stage("write"):
            size = write_player(
                page,
                title=title,
                idle=idle_video / "idle.mp4",
                atlas=atlas,
                mask=mask,
                roi=roi,
                clip=trimmed_video if has_clip else None,
                links=links,
                tables={
                    "Made with": {**sheet["parameters"], "engine": sheet["engine"]},
                    "Seconds": _summed(_told(context, step.avatar_id, "wall_s"), 2),
                    "Cost": _summed(_told(context, step.avatar_id, "cost"), 6),
                },
            )
        return step.result(page, version=data_version(page), metadata={"page_bytes": size})


def _beside(file: Path) -> str:
    """Where a file of another asset of this avatar lies, seen from the page's own folder."""
    return f"../../{'/'.join(quote(part) for part in file.parts[-3:])}"


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

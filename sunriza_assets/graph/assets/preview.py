"""The preview page of an avatar: the idle, visemes over it, durations and costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

from resources.publishing.publication import folder_of
from resources.services import ProgressReporter, Stores
from resources.stores import open_stores
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import Step, avatar_step
from sunriza_assets.graph.assets.metadata import data_version, first_frame_preview
from sunriza_assets.graph.assets.overlay import IdleSheet

__all__ = ["preview_page"]


@avatar_asset(
    group=tags.GROUP_PUBLISHED,
    kinds={"html"},
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
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """preview.html: plays the avatar in a browser, from disk, and lets it speak what is typed.

    In a local store it links to the files of the avatar's other assets in the same store; in a
    bucket, whose addresses are not paths, it holds them itself.
    It does with the files what the app does, so it is the quickest proof that they fit.
    """
    from sunriza_assets.studio.performances.script import is_script

    with avatar_step(context, stores, board) as step:
        files = {"idle": idle_video / "idle.mp4", "atlas": atlas / "atlas.jpg"}
        is_filmed = not is_script(trimmed_video)
        if is_filmed:
            files["clip"] = trimmed_video
        links = (
            {} if open_stores().shared else {name: _relative_link(at) for name, at in files.items()}
        )
        name = step.document.data.get("name")
        title = name if isinstance(name, str) and name else step.avatar_id
        sheet = IdleSheet.load(idle_video).content
        reused = step.reusable_result(
            {**files, "index": atlas / "atlas.json", "mask": mask, "roi": roi},
            title=title, links=links, parameters=sheet["parameters"],
        )  # fmt: skip
        if reused is not None:
            return reused
        from sunriza_assets.studio.overlay.player import CLIP_BYTES, write_player

        page = step.folder / "preview.html"
        # A page that holds its files is exported with a small copy of a large clip; encoding one
        # for every run is not worth the wait.
        is_small = trimmed_video.stat().st_size <= CLIP_BYTES
        has_clip = is_filmed and (bool(links) or is_small)
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
                    "Made with": _made_with(sheet),
                    **_time_and_cost(stores, step),
                },
            )
        with step.watch.stage("preview"):
            look = first_frame_preview(idle_video / "idle.mp4")
        return step.result(
            page, version=data_version(page), preview=look, metadata={"page_bytes": size}
        )


def _relative_link(file: Path) -> str:
    """Link from the page's folder to a file of another asset of the same avatar."""
    return f"../../{'/'.join(quote(part) for part in file.parts[-3:])}"


def _made_with(sheet: Mapping[str, Any]) -> dict[str, Any]:
    """Engine, performance and parameters of an idle, from idle.json."""
    performance = sheet.get("performance")
    performed = {} if performance is None else {"performance": performance}
    return {**performed, **sheet["parameters"], "engine": sheet["engine"]}


def _time_and_cost(stores: Stores, step: Step) -> dict[str, dict[str, str]]:
    """Tables of seconds and cost of each step and in total, from the manifest."""
    current = step.document.record.current
    if current is None:
        return {}
    name = f"{folder_of(step.avatar_id)}/{current.version}/{MANIFEST_NAME}"
    if stores.storage.stat(name) is None:
        return {}
    manifest = Manifest.load(stores.storage.fetch(name, step.folder))
    total = manifest.total
    seconds, costs = {}, {}
    for made in manifest.steps:
        if made.run_id == manifest.run_id:
            seconds[made.asset] = f"{made.facts['wall_s']:.2f}"
            costs[made.asset] = "unknown" if made.cost is None else f"{made.cost:.6f}"
        else:
            seconds[made.asset] = "used again"
    return {
        "Seconds": {**seconds, "total": f"{total.seconds:.2f}"},
        "Cost": {**costs, "total": total.amount, "price book": total.price_book},
    }

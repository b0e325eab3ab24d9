"""Files beside the idle for apps that cannot play it at once: chunks, frames, poster."""

from pathlib import Path

import dagster as dg

from resources.services import ProgressReporter, Stores
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import avatar_step
from sunriza_assets.graph.assets.metadata import data_version

__all__ = ["idle_extras"]


@avatar_asset(group=tags.GROUP_OVERLAY, kinds={"video", "image"})
def idle_extras(
    context: dg.AssetExecutionContext, idle_video: Path, stores: Stores, board: ProgressReporter
) -> dg.MaterializeResult[Path]:
    """Chunks for a quick start, the first second as pictures for live lip-sync, poster, thumbnail.

    A chunk that would have no frames is not made: a clip without frames stalls a player.
    """
    with avatar_step(context, stores, board) as step:
        reused = step.reusable_result({"idle": idle_video / "idle.mp4"})
        if reused is not None:
            return reused
        from sunriza_assets.studio.media.extras import make_extras

        with step.watch.stage("encode"):
            extras = make_extras(idle_video / "idle.mp4", step.folder / "made")
        folder = step.folder / "extras"
        folder.mkdir()
        for file in extras.files.values():  # the media IO manager keeps one flat folder
            file.rename(folder / file.name)
        return step.result(
            folder,
            version=data_version(*sorted(folder.iterdir())),
            frames=sum(extras.frame_counts.values()),
            metadata={"frame_counts": dg.MetadataValue.json(extras.frame_counts)},
        )

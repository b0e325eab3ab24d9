"""The last step: what was made goes where the app reads it, all at once or not at all."""

from pathlib import Path

import dagster as dg

from resources.publication import publish_avatar
from resources.services import ProgressBoard, Stores
from sunriza_assets import tags
from sunriza_assets.assets.edge import avatar_step
from sunriza_assets.assets.overlay import IdleSheet
from sunriza_assets.partitions import AVATARS
from sunriza_assets.studio.parameters import RenderParameters

__all__ = ["published_avatar"]


@dg.asset(
    partitions_def=AVATARS,
    group_name=tags.GROUP_PUBLISHED,
    kinds={"firestore", "gcs"},
    owners=tags.OWNERS,
    code_version="1",
    op_tags=tags.CPU_STEP,
)
def published_avatar(
    context: dg.AssetExecutionContext,
    idle_video: Path,
    atlas: Path,
    mask: Path,
    roi: Path,
    stores: Stores,
    board: ProgressBoard,
) -> dg.MaterializeResult[None]:
    """Idle, atlas, mask and ROI under the bucket paths that the document names, status `ready`.

    A run that no longer owns its avatar publishes nothing.
    """
    with avatar_step(context, stores, board) as step:
        sheet = IdleSheet.beside(idle_video)
        files = {
            "idle.mp4": idle_video / "idle.mp4",
            "atlas.jpg": atlas / "atlas.jpg",
            "atlas.json": atlas / "atlas.json",
            "mask.png": mask,
            "roi.json": roi,
        }
        with step.watch.stage("upload"):
            document = publish_avatar(
                stores.storage,
                stores.avatars,
                step.avatar_id,
                context.run_id,
                files=files,
                parameters=RenderParameters(**sheet.content["parameters"]).to_document(),
                overridden=sheet.content["overridden"],
            )
        urls = {name: url for name, url in document.basic.items() if name.endswith("Url")}
        step.watch.count(bytes_out=sum(file.stat().st_size for file in files.values()))
        return dg.MaterializeResult(
            metadata={
                **{name: _link(url) for name, url in sorted(urls.items())},
                "parameters": dg.MetadataValue.json(sheet.content["parameters"]),
                "document": dg.MetadataValue.json(document.plain["dynamics"]),
                **step.costs(),
            },
            data_version=dg.DataVersion(context.run_id),
        )


def _link(url: str) -> dg.MetadataValue:
    return dg.MetadataValue.url(url)

"""Jobs: the whole graph of an avatar, rendering only, speaking, and the reports."""

from typing import Final

import dagster as dg

from sunriza_assets.graph import tags

__all__ = ["AVATAR_DYNAMICS", "REFRESH_REPORTS", "RERENDER", "SPEAK_ORDER"]

AVATAR_DYNAMICS: Final = dg.define_asset_job(
    "avatar_dynamics",
    selection=dg.AssetSelection.groups(
        tags.GROUP_INPUTS, tags.GROUP_MOTION, tags.GROUP_OVERLAY, tags.GROUP_PUBLISHED
    ),
    tags=tags.GPU_RUN,
    description="Everything, from the document's portrait and clip to the published avatar.",
)

RERENDER: Final = dg.define_asset_job(
    "rerender",
    selection=dg.AssetSelection.assets("idle_video").downstream()
    & dg.AssetSelection.groups(tags.GROUP_MOTION, tags.GROUP_OVERLAY, tags.GROUP_PUBLISHED),
    tags=tags.GPU_RUN,
    description="A new idle and what follows, from the motion that is already there.",
)

SPEAK_ORDER: Final = dg.define_asset_job(
    "speak_order",
    selection=dg.AssetSelection.groups(tags.GROUP_ORDERS),
    tags=tags.CPU_RUN,
    description="Speaks the text of one order of the service.",
)

REFRESH_REPORTS: Final = dg.define_asset_job(
    "refresh_reports",
    selection=dg.AssetSelection.groups(tags.GROUP_REPORTS),
    tags=tags.CPU_RUN,
    description="Status, runtime and cost of all avatars.",
)

"""Scope of a run: its assets, whether it publishes, whether it is forced, launchpad parameters.

Everything here is read from Dagster's run and job; nothing touches a store.
"""

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from sunriza_assets.graph import tags
from sunriza_assets.graph.config import run_overrides

__all__ = [
    "PUBLISHING_ASSET",
    "assets_of_run",
    "assets_until_published",
    "is_draft",
    "is_forced",
    "launchpad_parameters",
    "publishes",
]

PUBLISHING_ASSET: Final = dg.AssetKey("published_avatar")


def publishes(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> bool:
    """Whether this run goes as far as publishing the avatar.

    The retry of a run that died after publishing does not: it would claim the avatar and never
    release it. Nor does a run that makes a draft.
    """
    if is_draft(context.run):
        return False
    steps = context.run.step_keys_to_execute
    if steps is not None:
        return PUBLISHING_ASSET.to_user_string() in steps
    selected = context.run.asset_selection
    if selected:  # empty or None when the whole job runs
        return PUBLISHING_ASSET in selected
    return PUBLISHING_ASSET in context.job_def.asset_layer.selected_asset_keys


def assets_of_run(context: dg.AssetExecutionContext) -> list[str]:
    """Names of the assets that this run makes, upstream first."""
    layer = context.job_def.asset_layer
    return [
        key.to_user_string()
        for level in layer.asset_graph.toposorted_asset_keys_by_level
        for key in level
        if key in layer.selected_asset_keys
    ]


def assets_until_published(assets: Sequence[str]) -> list[str]:
    """The assets up to and including the publishing one: what an app's user waits for.

    Args:
        assets: names, upstream first; all are returned if none of them publishes.
    """
    last = PUBLISHING_ASSET.to_user_string()
    names = list(assets)
    return names[: names.index(last) + 1] if last in names else names


def is_forced(run: dg.DagsterRun) -> bool:
    """Whether a run makes everything anew: by its tag, or by `force` in any asset's config."""
    forced = run_overrides(run.run_config).get("force")
    return bool(forced) or run.tags.get(tags.FORCE_TAG) == "true"


def is_draft(run: dg.DagsterRun) -> bool:
    """Whether a run stores its result as a draft instead of publishing it, by its tag."""
    return run.tags.get(tags.DRAFT_TAG) == "true"


def launchpad_parameters(run: dg.DagsterRun) -> dict[str, Any]:
    """The parameters that the launchpad sets for any asset of a run, merged into one set."""
    overrides = run_overrides(run.run_config)
    return {name: value for name, value in overrides.items() if name != "force"}

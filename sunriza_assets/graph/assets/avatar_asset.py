"""The decorator of every asset that is made once per avatar."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from sunriza_assets.graph import tags
from sunriza_assets.graph.code_versions import CODE_VERSIONS
from sunriza_assets.graph.partitions import AVATARS

__all__ = ["avatar_asset"]


def avatar_asset(
    *,
    group: str,
    kinds: set[str],
    gpu: bool = False,
    stored: bool = True,
    deps: Sequence[str] | None = None,
    config_schema: Mapping[str, dg.Field] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset with one partition per avatar out of a function of the asset's name.

    Args:
        group: one of the groups in `tags`.
        kinds: what Dagster's UI shows beside the name.
        gpu: whether it takes the GPU, and so a slot of its pool.
        stored: whether its files go through the IO manager for media.
        deps: assets that must be made before, and whose files it does not read.
        config_schema: parameters that a run may set for it.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        return dg.asset(
            partitions_def=AVATARS,
            group_name=group,
            kinds=kinds,
            owners=tags.OWNERS,
            code_version=CODE_VERSIONS[function.__name__],
            pool=tags.GPU_POOL if gpu else None,
            op_tags=tags.GPU_STEP if gpu else tags.CPU_STEP,
            io_manager_key="media_io" if stored else None,
            deps=deps,
            config_schema=config_schema,
        )(function)

    return decorate

"""The one place where everything is joined: assets, checks, jobs, sensors and resources.

Loading this module must stay cheap, for every run process does it: nothing here or below imports
torch, OpenCV, onnxruntime, pandas or Firebase at module level.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from resources.services import Engines, MediaIO, ProgressReporter, Stores, Templates
from sunriza_assets.graph.assets import (
    extras,
    inputs,
    motion,
    orders,
    overlay,
    preview,
    published,
    reports,
    status,
)
from sunriza_assets.graph.checks import CHECKS
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS, REFRESH_REPORTS, RERENDER, SPEAK_ORDER
from sunriza_assets.graph.schedules import SCHEDULES, reports_after_work
from sunriza_assets.graph.sensors import SENSORS
from sunriza_assets.operations.backfills import backfills
from sunriza_assets.platform.executors import build_executor

__all__ = ["build_defs", "defs"]


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The code location, with some resources replaced (a test world, a terminal's progress)."""
    resources: dict[str, Any] = {
        "stores": Stores(),
        "media_io": MediaIO(),
        "engines": Engines(),
        "templates": Templates(),
        "board": ProgressReporter(),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(
            [inputs, motion, overlay, extras, published, preview, orders, status, reports]
        ),
        asset_checks=CHECKS,
        jobs=[AVATAR_DYNAMICS, RERENDER, SPEAK_ORDER, REFRESH_REPORTS],
        sensors=[*SENSORS, backfills, reports_after_work],
        schedules=SCHEDULES,
        resources={**resources, **(resource_overrides or {})},
        # One avatar = one run = one process, unless SUNRIZA_EXECUTOR says otherwise.
        executor=build_executor(),
    )


defs = build_defs()

"""Where the figures of a run stand: its log, its manifest, the ledger."""

from pathlib import Path
from typing import Any, Final

import dagster as dg
import pandas as pd

from resources.accounting.event_log import plain_metadata
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest
from sunriza_assets.definitions import build_defs
from sunriza_assets_tests.graph.conftest import Installation

__all__ = ["BEHIND", "MADE_ANEW", "manifest_of", "published", "rows_of", "told"]


def upstream_of_published() -> list[str]:
    """Every asset that goes into a publication, and the publishing one."""
    graph = build_defs().resolve_asset_graph()
    selected = dg.AssetSelection.assets("published_avatar").upstream().resolve(graph)
    return sorted(key.to_user_string() for key in selected)


BEHIND: Final = upstream_of_published()
"""All that is behind a publication, and the publishing asset."""
MADE_ANEW: Final = sorted(
    set(BEHIND) - {"hero_image", "hero_video", "trimmed_video", "motion_template"}
)
"""What a rerender makes of it."""


def published(installation: Installation, avatar_id: str = "ada") -> Path:
    return installation.home.storage / "avatars" / avatar_id / "dynamics" / "basic"


def manifest_of(installation: Installation, avatar_id: str = "ada") -> Manifest:
    return Manifest.load(published(installation, avatar_id) / MANIFEST_NAME)


def told(installation: Installation, run_id: str) -> dict[str, dict[str, Any]]:
    """Asset -> metadata of what a run materialized, from its own log."""
    records = installation.instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    made = [record.asset_materialization for record in records]
    return {m.asset_key.to_user_string(): plain_metadata(m.metadata) for m in made if m}


def rows_of(ledger: Ledger, run_id: str) -> pd.DataFrame:
    frame = ledger.frame()
    return frame[frame["run_id"] == run_id].set_index("asset")

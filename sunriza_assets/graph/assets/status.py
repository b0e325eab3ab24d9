"""The state of every avatar: wanted and published version, one row each."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from resources.accounting.step_watch import priced
from resources.avatars.standing import iter_avatars, standing_of
from resources.avatars.store import Change
from resources.services import Stores
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.run_scope import PUBLISHING_ASSET

__all__ = ["avatar_status"]

ROWS_SHOWN: Final = 200
"""The event log keeps the table for ever; whatever is ready and not shown is counted."""
_URGENCY: Final = ("unreadable", "error", "stale", "waiting", "generating", "incomplete", "ready")


@dg.asset(
    deps=[PUBLISHING_ASSET],
    group_name=tags.GROUP_REPORTS,
    kinds={"table"},
    owners=tags.OWNERS,
    code_version="3",
    op_tags=tags.CPU_STEP,
)
def avatar_status(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Every avatar: wanted version against published version, why they differ and since when.

    What needs a look comes first, the longest-standing before the rest.
    """
    now = datetime.now(UTC)
    with Stopwatch() as watch, watch.stage("look"):
        rows = [_row(change, now) for change in iter_avatars(stores.avatars)]
    rows.sort(key=lambda row: (_URGENCY.index(row["status"]), -row["age_h"], row["avatar"]))
    counts = Counter(row["status"] for row in rows)
    records = [dg.TableRecord(row) for row in rows[:ROWS_SHOWN]]
    return dg.MaterializeResult(
        metadata={
            "avatars": len(rows),
            **{f"status_{name}": counts[name] for name in _URGENCY},
            "table": dg.MetadataValue.table(records) if records else "no avatars yet",
            **priced(watch.record()),
        }
    )


def _row(change: Change, now: datetime) -> dict[str, Any]:
    if change.document is None:
        columns = {"wanted": "", "published": "", "version": "", "reason": change.problem or ""}
        return {"avatar": change.avatar_id, "status": "unreadable", **columns, "age_h": 0.0}
    standing = standing_of(change.document)
    return {
        "avatar": change.avatar_id,
        "status": standing.state,
        "wanted": standing.wanted,
        "published": standing.published,
        "version": standing.version,
        "reason": standing.reason,
        "age_h": round(max(0.0, (now - standing.since).total_seconds() / 3600), 2),
    }

"""Where every avatar stands: wanted against published, one row each."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from resources.document import AvatarDocument
from resources.services import Stores
from sunriza_assets import tags
from sunriza_assets.assets.edge import PUBLISHING_ASSET
from sunriza_assets.errors import SunrizaError

__all__ = ["avatar_status"]

ROWS_SHOWN = 200


@dg.asset(
    deps=[PUBLISHING_ASSET],
    group_name=tags.GROUP_REPORTS,
    kinds={"table"},
    owners=tags.OWNERS,
    code_version="1",
    op_tags=tags.CPU_STEP,
)
def avatar_status(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Every avatar's status, and whether what is published is what its document asks for."""
    rows = [_row(stores, avatar_id) for avatar_id in stores.avatars.ids()]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    # What needs a look comes first.
    rows.sort(key=lambda row: (row["status"] == "ready", row["avatar"]))
    records = [dg.TableRecord(row) for row in rows[:ROWS_SHOWN]]
    return dg.MaterializeResult(
        metadata={
            "avatars": len(rows),
            **{f"status_{name}": count for name, count in sorted(counts.items())},
            "table": dg.MetadataValue.table(records) if records else "no avatars yet",
        }
    )


def _row(stores: Stores, avatar_id: str) -> dict[str, Any]:
    try:
        document = stores.avatars.get(avatar_id)
    except SunrizaError as error:
        return {"avatar": avatar_id, "status": "unreadable", "age_h": 0.0, "reason": error.message}
    return {
        "avatar": avatar_id,
        "status": "stale" if _is_stale(document) else (document.status or "new"),
        "age_h": round(_age_hours(document.update_time), 2),
        "reason": _reason(document),
    }


def _is_stale(document: AvatarDocument) -> bool:
    return document.status == "ready" and document.needs_run


def _reason(document: AvatarDocument) -> str:
    error = document.basic.get("error")
    if isinstance(error, dict):
        return f"{error.get('code', '')}: {error.get('message', '')}"
    return "its document asks for something newer" if _is_stale(document) else ""


def _age_hours(update_time: str) -> float:
    written = datetime.fromisoformat(update_time)
    return max(0.0, (datetime.now(UTC) - written).total_seconds() / 3600)

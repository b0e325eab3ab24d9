"""Report assets: runtime and cost of all avatars, from the updated ledger.

Both assets read the event log from where the last update ended, so they take time for new events
only. They follow `published_avatar` by a plain dependency: Dagster maps an unpartitioned
asset to all partitions without looking at them one by one (0.2 s more for a run with 100,000 of
them), and the lineage in the UI says what the figures are about.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from resources.accounting.event_log import update_ledger
from resources.accounting.step_watch import current_price_book, priced
from resources.services import Stores
from resources.serving.media_server import link
from resources.storage.local import LocalStorage
from sunriza_assets.costs.calls import CALLS_FOLDER
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger, Update
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.metadata import INLINE_CHARACTERS
from sunriza_assets.graph.assets.run_scope import PUBLISHING_ASSET

if TYPE_CHECKING:
    from sunriza_assets.costs.reports import Report

__all__ = ["cost_report", "runtime_report"]

_PAGES: Final = "reports"
"""Folder of the local store in which the file server finds the reports' pages."""
ROWS_SHOWN: Final = 40
"""Rows of a table in the UI; the files have all."""


@dg.asset(
    deps=[PUBLISHING_ASSET],
    group_name=tags.GROUP_REPORTS,
    kinds={"pandas", "parquet"},
    owners=tags.OWNERS,
    code_version="1",
    op_tags=tags.CPU_STEP,
)
def runtime_report(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Where the time goes: medians and 95th percentiles, cold against warm, share of each stage."""
    from sunriza_assets.costs import charts, reports

    with Stopwatch() as watch:
        ledger, update = _updated_ledger(context, stores, watch)
        with watch.stage("report"):
            frame = ledger.frame(reports.RUNTIME_COLUMNS, calls=False)
            by_asset = reports.runtime_report(frame)
            stages = reports.stage_report(frame)
            tables = [
                by_asset,
                stages,
                reports.stage_report(frame, per_asset=True),
                reports.runtime_report(frame, by="engine"),
                reports.runtime_report(frame, by="day"),
                reports.runtime_report(frame, by="avatar"),
            ]
        with watch.stage("draw"):
            pictures = {
                "stages": charts.share_chart(stages),
                "by_asset": charts.runtime_chart(by_asset, "asset"),
            }
        written = _write_files(stores, watch, "runtime_report", "Runtime", tables, pictures)
    return dg.MaterializeResult(
        metadata={
            **_report_metadata(pictures, {"stages": stages, "by_asset": by_asset}),
            "steps": by_asset.facts["steps"],
            "failed": by_asset.facts["failed"],
            "seconds": round(by_asset.facts["seconds"], 3),
            "new_rows": update.added,
            **written,
            **priced(watch.record()),
        }
    )


@dg.asset(
    deps=[PUBLISHING_ASSET],
    group_name=tags.GROUP_REPORTS,
    kinds={"pandas", "parquet"},
    owners=tags.OWNERS,
    code_version="1",
    op_tags=tags.CPU_STEP,
)
def cost_report(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """What it cost, by avatar, day, month, engine, kind and asset; what caches saved.

    All by the price book in use; `sunriza report costs --book` asks for another.
    """
    from sunriza_assets.costs import charts, reports

    with Stopwatch() as watch:
        ledger, update = _updated_ledger(context, stores, watch)
        book = current_price_book()
        with watch.stage("report"):
            frame = ledger.frame(reports.COST_COLUMNS)
            by_avatar, by_day, by_month, by_engine, by_kind, by_asset = (
                reports.cost_report(frame, book, by=by)
                for by in ("avatar", "day", "month", "engine", "kind", "asset")
            )
        with watch.stage("draw"):
            pictures = {
                "by_asset": charts.costs_chart(by_asset, "asset", currency=book.currency),
                "by_avatar": charts.costs_chart(by_avatar, "avatar", currency=book.currency),
                "by_day": charts.costs_chart(by_day, "day", currency=book.currency),
            }
        tables = [by_avatar, by_day, by_month, by_engine, by_kind, by_asset]
        written = _write_files(stores, watch, "cost_report", "Costs", tables, pictures)
    facts = by_avatar.facts
    return dg.MaterializeResult(
        metadata={
            **_report_metadata(
                pictures, {"by_avatar": by_avatar, "by_day": by_day, "by_engine": by_engine}
            ),
            # Under names of their own: `cost` is what this very step cost.
            "total_cost": facts["total_cost"].get(book.currency, 0.0),
            "published_cost": facts["published_cost"].get(book.currency, 0.0),
            "saved_cost": facts["saved_cost"],
            "unpriced_steps": facts["unpriced_steps"],
            "steps": facts["steps"],
            "new_rows": update.added,
            **written,
            **priced(watch.record()),
        }
    )


def _updated_ledger(
    context: dg.AssetExecutionContext, stores: Stores, watch: Stopwatch
) -> tuple[Ledger, Update]:
    ledger = Ledger(stores.home.reports / LEDGER_FOLDER)
    with watch.stage("ledger"):
        ledger.add_calls(stores.home.reports / CALLS_FOLDER)
        return ledger, update_ledger(context.instance, ledger)


def _write_files(
    stores: Stores,
    watch: Stopwatch,
    name: str,
    title: str,
    tables: "Sequence[Report]",
    pictures: Mapping[str, bytes],
) -> dict[str, Any]:
    """Write the report's files; returns their paths as metadata."""
    from sunriza_assets.costs import render

    with watch.stage("write"):
        paths = render.write_report(
            stores.home.reports, name, title, tables, pictures=list(pictures.values())
        )
    watch.count(bytes_out=sum(path.stat().st_size for path in paths))
    files = {path.suffix[1:]: dg.MetadataValue.path(path) for path in paths}
    if isinstance(stores.storage, LocalStorage):  # a bucket's own pages open for nobody
        page = next(path for path in paths if path.suffix == ".html")
        with watch.stage("upload"):
            stored = stores.storage.put(page, f"{_PAGES}/{page.name}", private=True)
        return {"open": dg.MetadataValue.url(link(stored.url)), **files}
    return files


def _report_metadata(
    pictures: Mapping[str, bytes], tables: "Mapping[str, Report]"
) -> dict[str, Any]:
    """Charts and tables as metadata for the UI; the event log keeps them, so they are small."""
    from sunriza_assets.costs import charts, render
    from sunriza_assets.studio.media.sheet import thumbnail_data_uri

    seen = charts.pixels(next(iter(pictures.values())))
    look = thumbnail_data_uri(seen, INLINE_CHARACTERS - len("![look]()"))
    # The UI shows this one at once, and the charts in full after a click, there or on the page.
    shown = {"look": dg.MetadataValue.md(f"![look]({look})")} | {
        f"{name}_chart": dg.MetadataValue.md(f"![{name}]({charts.data_uri(picture)})")
        for name, picture in pictures.items()
    }
    for name, table in tables.items():
        shown[name] = dg.MetadataValue.md(render.to_markdown(table, limit=ROWS_SHOWN))
    return shown

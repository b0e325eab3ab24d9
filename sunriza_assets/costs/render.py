"""Rendering of reports: text, CSV, JSON, HTML, and Markdown for the Dagster UI.

The name of a column decides how its numbers are formatted. Names of avatars are untrusted input:
all text is escaped for its output format. What a report contains is decided in `reports`.
"""

import html
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.atomic import make_folder, replaced
from sunriza_assets.costs.charts import data_uri, printable
from sunriza_assets.costs.reports import Report

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EMPTY",
    "to_csv",
    "to_html",
    "to_json",
    "to_markdown",
    "to_text",
    "write_report",
]

EMPTY: Final = "–"
"""Placeholder of an unknown value."""
_MEGA: Final = 1e6


def to_text(report: Report, *, limit: int | None = None, width: int | None = None) -> str:
    """A table for a terminal, with its sums and warnings.

    Args:
        limit: rows shown; a last line gives the number of omitted ones.
        width: columns of the terminal; by default as wide as the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = _visible_rows(report, limit)
    table = Table(title=report.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in shown.columns:
        table.add_column(_heading(name), justify="left" if _is_text(shown, name) else "right")
    for row in _cells(shown):
        table.add_row(*(Text(printable(cell)) for cell in row))
    out = io.StringIO()
    console = Console(file=out, width=width or 400, color_system=None, highlight=False)
    console.print(table)
    for line in (*_omission_note(report, shown), *_summary(report), *report.warnings):
        console.print(Text(printable(line)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def to_csv(report: Report) -> str:
    """All rows, numbers in full; unknown values are empty."""
    return report.rows.to_csv(index=False, lineterminator="\n")


def to_json(report: Report) -> dict[str, Any]:
    """JSON values: title, facts, warnings, rows; unknown values are null."""
    rows = json.loads(report.rows.to_json(orient="records", date_format="iso", double_precision=15))
    return {
        "title": report.title,
        **report.facts,
        "warnings": list(report.warnings),
        "rows": rows,
    }


def to_markdown(report: Report, *, limit: int | None = None) -> str:
    """A table for the Dagster UI."""
    shown = _visible_rows(report, limit)
    lines = [
        f"**{_escape_markdown(report.title)}**",
        "",
        "| " + " | ".join(_heading(name) for name in shown.columns) + " |",
        "|" + "|".join("---" if _is_text(shown, name) else "---:" for name in shown.columns) + "|",
        *("| " + " | ".join(map(_escape_markdown, row)) + " |" for row in _cells(shown)),
        "",
    ]
    for line in (*_omission_note(report, shown), *_summary(report), *report.warnings):
        lines += [_escape_markdown(line), ""]
    return "\n".join(lines)


def to_html(
    title: str,
    reports: Sequence[Report],
    *,
    pictures: Sequence[bytes] = (),
    limit: int | None = 1000,
) -> str:
    """One self-contained page: pictures (WebP) first, then every table.

    A line that several tables would say is written once.
    """
    shown_pictures = "".join(f'<img src="{data_uri(picture)}" alt="">' for picture in pictures)
    body = [f'<div class="pictures">{shown_pictures}</div>'] if pictures else []
    written: set[str] = set()
    for report in reports:
        shown = _visible_rows(report, limit)
        if report.title != title:
            body.append(f"<h2>{html.escape(report.title)}</h2>")
        body.append(_html_table(shown))
        body += [f"<p>{html.escape(line)}</p>" for line in _omission_note(report, shown)]
        for line in (*_summary(report), *report.warnings):
            if line not in written:
                kind = ' class="warning"' if line in report.warnings else ""
                body.append(f"<p{kind}>{html.escape(line)}</p>")
                written.add(line)
    return _PAGE.format(title=html.escape(title), body="\n".join(body))


def _html_table(shown: "pd.DataFrame") -> str:
    kinds = ["text" if _is_text(shown, name) else "number" for name in shown.columns]

    def row(tag: str, texts: Iterable[str]) -> str:
        cells = (
            f'<{tag} class="{kind}">{html.escape(text)}</{tag}>'
            for kind, text in zip(kinds, texts, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    rows = [row("th", map(_heading, shown.columns)), *(row("td", cells) for cells in _cells(shown))]
    return "\n".join(["<table>", *rows, "</table>"])


def write_report(
    folder: Path,
    name: str,
    title: str,
    reports: Sequence[Report],
    *,
    pictures: Sequence[bytes] = (),
) -> list[Path]:
    """Write `name.parquet` and `name.csv` (the first report) and `name.html` (all of them).

    Raises:
        StoreError: a file cannot be written; files are replaced atomically.
    """
    main = reports[0]
    writers: Mapping[str, Callable[[Path], Any]] = {
        "parquet": lambda part: main.rows.to_parquet(part, index=False),
        "csv": lambda part: part.write_text(to_csv(main), encoding="utf-8"),
        "html": lambda part: part.write_text(
            to_html(title, reports, pictures=pictures), encoding="utf-8"
        ),
    }
    make_folder(folder)
    paths = []
    for kind, write in writers.items():
        path = folder / f"{name}.{kind}"
        with replaced(path) as part:
            write(part)
        paths.append(path)
    return paths


def _visible_rows(report: Report, limit: int | None) -> "pd.DataFrame":
    """The first rows, without columns whose one value is already among the report's facts."""
    constant_columns = [
        name
        for name in report.rows.columns
        if isinstance(fact := report.facts.get(name), str) and report.rows[name].eq(fact).all()
    ]
    return report.rows.drop(columns=constant_columns).head(
        len(report.rows) if limit is None else limit
    )


def _omission_note(report: Report, shown: "pd.DataFrame") -> Iterator[str]:
    if len(shown) < len(report.rows):
        yield f"… and {len(report.rows) - len(shown)} more"


def _summary(report: Report) -> Iterator[str]:
    """The facts in one line."""
    parts = []
    for name, value in report.facts.items():
        if isinstance(value, Mapping):
            shown = ", ".join(f"{_number('cost', part)} {key}" for key, part in value.items())
            parts.append(f"{_heading(name)} {shown or EMPTY}")
        else:
            parts.append(f"{_heading(name)} {_cell(name, value)}")
    if parts:
        yield "; ".join(parts)


def _cells(frame: "pd.DataFrame") -> Iterator[list[str]]:
    columns = list(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        yield [_cell(name, value) for name, value in zip(columns, row, strict=True)]


def _cell(name: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return EMPTY
    if isinstance(value, str):
        return value
    return _number(name, float(value))


def _number(name: str, value: float) -> str:
    """Format a number as its column's name says: money, seconds, share, bytes, or a count."""
    if "cost" in name or name == "price":
        return _money(value)
    if name == "share" or name.endswith("_share"):
        return f"{value:.1%}"
    if name.endswith("_bytes"):
        return f"{value / _MEGA:.0f} MB"
    if name.endswith("_s") or "seconds" in name:
        return (
            f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
        )
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _money(value: float) -> str:
    """Two decimals from 1 on, more for the small amounts that one avatar costs."""
    if value == 0:
        return "0"
    return f"{value:.2f}" if value >= 1 else f"{value:.5f}" if value >= 0.001 else f"{value:.7f}"


def _is_text(frame: "pd.DataFrame", name: str) -> bool:
    return str(frame[name].dtype) in ("object", "category", "string", "str")


def _heading(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


def _escape_markdown(text: str) -> str:
    escaped = html.escape(printable(text), quote=False)
    return "".join("\\" + char if char in "\\`*_[]|!#~" else char for char in escaped)


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; color: #222; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; white-space: nowrap; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.text {{ text-align: left; }}
.warning {{ color: #a33; }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }}
img {{ flex: 1 1 28rem; min-width: 0; max-width: 640px; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""

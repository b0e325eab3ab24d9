"""How reports look: text, CSV, JSON, HTML, Markdown for the Dagster UI, and small pictures.

A number is written the same way everywhere, by the name of its column. Names of avatars come from
outside: whatever is written is escaped for where it goes.
"""

import base64
import html
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.atomic import make_folder, replaced
from sunriza_assets.costs.reports import Report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "EMPTY",
    "bar_chart",
    "data_uri",
    "share_chart",
    "to_csv",
    "to_html",
    "to_json",
    "to_markdown",
    "to_text",
    "write_report",
]

EMPTY: Final = "–"
"""Stands where a value is unknown."""
INK: Final = "#3b5b92"
_PALETTE: Final = (
    "#3b5b92", "#e0873a", "#5a9e6f", "#b5495b", "#8a6fb0",
    "#7f7f7f", "#c7a83c", "#4aa3b5", "#a0522d", "#c8c8c8",
)  # fmt: skip
_MEGA: Final = 1e6
_PICTURE_DPI: Final = 100
_SLIVER: Final = 0.04
"""A share below this has no room for its label."""


def to_text(report: Report, *, limit: int | None = None, width: int | None = None) -> str:
    """A table for a terminal, with its sums and warnings.

    Args:
        limit: rows shown; how many are left out is said.
        width: columns of the terminal; by default as wide as the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = _head(report, limit)
    table = Table(title=report.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in shown.columns:
        table.add_column(_heading(name), justify="left" if _is_text(shown, name) else "right")
    for row in _cells(shown):
        table.add_row(*(Text(_printable(cell)) for cell in row))
    out = io.StringIO()
    console = Console(file=out, width=width or 400, color_system=None, highlight=False)
    console.print(table)
    for line in (*_left_out(report, shown), *_summary(report), *report.warnings):
        console.print(Text(_printable(line)))
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
    shown = _head(report, limit)
    lines = [
        f"**{_in_markdown(report.title)}**",
        "",
        "| " + " | ".join(_heading(name) for name in shown.columns) + " |",
        "|" + "|".join("---" if _is_text(shown, name) else "---:" for name in shown.columns) + "|",
        *("| " + " | ".join(map(_in_markdown, row)) + " |" for row in _cells(shown)),
        "",
    ]
    for line in (*_left_out(report, shown), *_summary(report), *report.warnings):
        lines += [_in_markdown(line), ""]
    return "\n".join(lines)


def to_html(
    title: str,
    reports: Sequence[Report],
    *,
    pictures: Sequence[bytes] = (),
    limit: int | None = 1000,
) -> str:
    """One page that needs no network: pictures (WebP) first, then every table."""
    body = [f'<img src="{data_uri(picture)}" alt="">' for picture in pictures]
    for report in reports:
        shown = _head(report, limit)
        kinds = ["text" if _is_text(shown, name) else "number" for name in shown.columns]
        head = "".join(
            f'<th class="{kind}">{html.escape(_heading(name))}</th>'
            for name, kind in zip(shown.columns, kinds, strict=True)
        )
        body += [f"<h2>{html.escape(report.title)}</h2>", f"<table><tr>{head}</tr>"]
        body += [
            "<tr>"
            + "".join(
                f'<td class="{kind}">{html.escape(cell)}</td>'
                for cell, kind in zip(row, kinds, strict=True)
            )
            + "</tr>"
            for row in _cells(shown)
        ]
        body.append("</table>")
        body += [f"<p>{html.escape(line)}</p>" for line in _left_out(report, shown)]
        body += [f"<p>{html.escape(line)}</p>" for line in _summary(report)]
        body += [f'<p class="warning">{html.escape(line)}</p>' for line in report.warnings]
    return _PAGE.format(title=html.escape(title), body="\n".join(body))


def write_report(
    folder: Path, name: str, reports: Sequence[Report], *, pictures: Sequence[bytes] = ()
) -> list[Path]:
    """Write `name.parquet` and `name.csv` (the first report) and `name.html` (all of them).

    Raises:
        StoreError: a file cannot be written; each is whole or as it was before.
    """
    main = reports[0]
    writers: Mapping[str, Callable[[Path], Any]] = {
        "parquet": lambda part: main.rows.to_parquet(part, index=False),
        "csv": lambda part: part.write_text(to_csv(main), encoding="utf-8"),
        "html": lambda part: part.write_text(
            to_html(main.title, reports, pictures=pictures), encoding="utf-8"
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


def bar_chart(
    report: Report,
    labels: Sequence[str],
    value: str,
    *,
    unit: str,
    upper: str | None = None,
    limit: int = 12,
) -> bytes:
    """Horizontal bars of one column, as WebP.

    Args:
        labels: columns that name a bar together.
        value: column drawn.
        unit: what stands below the axis.
        upper: column of a whisker, such as a 95th percentile.
        limit: bars drawn, from the top of the report.
    """
    rows = report.rows[report.rows[value].notna()].head(limit).iloc[::-1]
    figure, axes = _figure(height=0.9 + 0.28 * max(1, len(rows)))
    names = [
        _short(_printable(" · ".join(map(str, texts))))
        for texts in rows[list(labels)].itertuples(index=False, name=None)
    ]
    places = range(len(names))
    axes.barh(places, rows[value], color=INK, height=0.7)
    if upper is not None:
        axes.hlines(places, rows[value], rows[upper].fillna(rows[value]), color="#999999")
        axes.plot(rows[upper], list(places), "|", color="#555555")
    axes.set_yticks(list(places), names, parse_math=False)
    axes.set_xlabel(unit, parse_math=False)
    axes.set_title(report.title, loc="left", parse_math=False)
    return _webp(figure)


def share_chart(report: Report) -> bytes:
    """One bar cut into the shares of a stage report, as WebP."""
    figure, axes = _figure(height=1.5)
    left = 0.0
    for index, (stage, share) in enumerate(
        zip(report.rows["stage"], report.rows["share"], strict=True)
    ):
        color = _PALETTE[min(index, len(_PALETTE) - 1)]
        axes.barh([0], [share], left=left, color=color, label=f"{stage} {share:.0%}")
        if share >= _SLIVER:
            axes.text(left + share / 2, 0, f"{share:.0%}", ha="center", va="center", color="white")
        left += share
    axes.set_xlim(0, 1)
    axes.axis("off")
    axes.set_title(report.title, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=5, frameon=False, fontsize=8)
    return _webp(figure)


def data_uri(picture: bytes) -> str:
    """A WebP picture as it can stand in Markdown or HTML."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def _figure(height: float) -> tuple["Figure", Any]:
    """A figure on the Agg canvas; pyplot, which keeps state, stays out of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), dpi=_PICTURE_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _webp(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="webp", pil_kwargs={"quality": 80})
    return out.getvalue()


def _head(report: Report, limit: int | None) -> "pd.DataFrame":
    """The first rows, without the columns that only repeat a fact of the whole report."""
    told = [
        name
        for name in report.rows.columns
        if isinstance(fact := report.facts.get(name), str) and report.rows[name].eq(fact).all()
    ]
    return report.rows.drop(columns=told).head(len(report.rows) if limit is None else limit)


def _left_out(report: Report, shown: "pd.DataFrame") -> Iterator[str]:
    if len(shown) < len(report.rows):
        yield f"… and {len(report.rows) - len(shown)} more"


def _summary(report: Report) -> Iterator[str]:
    """The facts in one line."""
    said = []
    for name, value in report.facts.items():
        if isinstance(value, Mapping):
            shown = ", ".join(f"{_number('cost', part)} {key}" for key, part in value.items())
            said.append(f"{_heading(name)} {shown or EMPTY}")
        else:
            said.append(f"{_heading(name)} {_cell(name, value)}")
    if said:
        yield "; ".join(said)


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
    """By the column's name: money, seconds, shares, bytes, or a count."""
    if "cost" in name or name == "price":
        return (
            f"{value:.2f}" if value >= 1 else f"{value:.5f}" if value >= 0.001 else f"{value:.3g}"
        )
    if name == "share" or name.endswith("_share"):
        return f"{value:.1%}"
    if name.endswith("_bytes"):
        return f"{value / _MEGA:.0f} MB"
    if name.endswith("_s") or "seconds" in name:
        return (
            f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
        )
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _is_text(frame: "pd.DataFrame", name: str) -> bool:
    return str(frame[name].dtype) in ("object", "category", "string", "str")


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _printable(text: str) -> str:
    """Without control characters: a name must not steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _in_markdown(text: str) -> str:
    escaped = html.escape(_printable(text), quote=False)
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
img {{ max-width: 100%; display: block; margin: 1rem 0; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""

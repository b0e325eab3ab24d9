"""Charts of reports, as WebP, for pages and for the Dagster UI."""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.costs.reports import Report

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "bar_chart",
    "column_chart",
    "costs_chart",
    "data_uri",
    "pixels",
    "printable",
    "runtime_chart",
    "share_chart",
]

INK: Final = "#3b5b92"
_REST_COLOR: Final = "#c8c8c8"
_PALETTE: Final = (
    "#3b5b92", "#e0873a", "#5a9e6f", "#b5495b", "#8a6fb0",
    "#7f7f7f", "#c7a83c", "#4aa3b5", "#a0522d",
)  # fmt: skip
_DPI: Final = 100
_WIDTH: Final = 6.4
"""Inches; 640 pixels."""
_MIN_LABELLED_SHARE: Final = 0.04
"""Smallest share that has room for its label."""
_TIME_GROUPINGS: Final = ("day", "month")
_SPREAD: Final = "seconds: median, and up to the 95th percentile"
_NO_VALUE: Final = "(none)"
_MAX_LABEL_CHARS: Final = 32
"""Longest label, characters."""


def costs_chart(report: Report, by: str, *, currency: str) -> bytes:
    """A cost report: columns over days or months, else horizontal bars, the highest cost on top."""
    if by in _TIME_GROUPINGS:
        return column_chart(report, by, "cost", unit=currency)
    return bar_chart(report, [by], "cost", unit=currency)


def runtime_chart(report: Report, by: str) -> bytes:
    """A runtime report: medians, with a whisker up to the 95th percentile unless over time."""
    if by in _TIME_GROUPINGS:
        return column_chart(report, by, "p50_s", unit="seconds, median")
    labels = [by, *(name for name in ("engine", "device") if name in report.rows and name != by)]
    return bar_chart(report, labels, "p50_s", unit=_SPREAD, upper="p95_s")


def bar_chart(
    report: Report,
    labels: Sequence[str],
    value: str,
    *,
    unit: str,
    upper: str | None = None,
    limit: int = 12,
) -> bytes:
    """Horizontal bars of one column, the longest on top.

    Args:
        labels: columns that name a bar together; one in which all rows are equal is left out.
        value: column drawn.
        unit: what stands below the axis.
        upper: column of a whisker, such as a 95th percentile.
        limit: bars drawn, from the top of the report.
    """
    rows = report.rows[report.rows[value].notna()].head(limit).sort_values(value, kind="stable")
    figure, axes = _figure(height=0.9 + 0.28 * max(1, len(rows)))
    places = range(len(rows))
    axes.barh(places, rows[value], color=INK, height=0.7)
    if upper is not None:
        axes.hlines(places, rows[value], rows[upper].fillna(rows[value]), color="#999999")
        axes.plot(rows[upper], list(places), "|", color="#555555")
    axes.set_yticks(list(places), _names(rows, labels), parse_math=False)
    axes.locator_params(axis="x", nbins=5)  # small sums have long numbers
    axes.set_xlabel(unit, parse_math=False)
    axes.set_title(report.title, loc="left", parse_math=False)
    return _webp(figure)


def column_chart(report: Report, label: str, value: str, *, unit: str, limit: int = 31) -> bytes:
    """Columns over time, the latest at the right; the report has the latest first.

    Args:
        label: column of the instants, as text.
        value: column drawn; what is unknown leaves a gap.
        unit: what stands beside the axis.
        limit: columns drawn, the latest.
    """
    rows = report.rows.head(limit).iloc[::-1]
    figure, axes = _figure(height=2.4)
    places = range(len(rows))
    axes.bar(places, rows[value].fillna(0.0), color=INK, width=0.7)
    axes.set_xlim(-0.6, max(len(rows), 7) - 0.4)  # else few columns are very wide
    every = max(1, -(-len(rows) // 8))
    names = _names(rows, [label])
    axes.set_xticks(list(places)[::every], names[::every], parse_math=False)
    axes.set_ylabel(unit, parse_math=False)
    axes.set_title(report.title, loc="left", parse_math=False)
    return _webp(figure)


def share_chart(report: Report) -> bytes:
    """One stacked bar of a stage report; stages beyond the palette are summed up as the rest."""
    stages = list(zip(report.rows["stage"], report.rows["share"], strict=True))
    shown, rest = stages[: len(_PALETTE)], stages[len(_PALETTE) :]
    parts = [(*stage, color) for stage, color in zip(shown, _PALETTE, strict=False)]
    if rest:
        parts.append((f"{len(rest)} more", sum(share for _, share in rest), _REST_COLOR))
    figure, axes = _figure(height=1.3)
    left = 0.0
    for stage, share, color in parts:
        axes.barh([0], [share], left=left, color=color, label=f"{stage} {share:.0%}")
        if share >= _MIN_LABELLED_SHARE:
            axes.text(left + share / 2, 0, f"{share:.0%}", ha="center", va="center", color="white")
        left += share
    axes.set_xlim(0, 1)
    axes.axis("off")
    axes.set_title(report.title, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=5, frameon=False, fontsize=8)
    return _webp(figure)


def pixels(picture: bytes) -> "NDArray[np.uint8]":
    """A chart as (H, W, 3) RGB."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def data_uri(picture: bytes) -> str:
    """A WebP picture as it can stand in Markdown or HTML."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def printable(text: str) -> str:
    """Text with control characters replaced, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _names(rows: "pd.DataFrame", labels: Sequence[str]) -> list[str]:
    """One label per row, of the columns whose values differ."""
    distinguishing = [name for name in labels[1:] if rows[name].astype(str).nunique() > 1]
    columns = rows[[labels[0], *distinguishing]]
    return [_label(map(str, texts)) for texts in columns.itertuples(index=False, name=None)]


def _label(texts: Iterable[str]) -> str:
    label = printable(" · ".join(text for text in texts if text != _NO_VALUE) or _NO_VALUE)
    return label if len(label) <= _MAX_LABEL_CHARS else label[: _MAX_LABEL_CHARS - 1] + "…"


def _figure(height: float) -> tuple["Figure", Any]:
    """A figure on the Agg canvas; pyplot, which keeps state, stays out of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _webp(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="webp", pil_kwargs={"quality": 80})
    return out.getvalue()

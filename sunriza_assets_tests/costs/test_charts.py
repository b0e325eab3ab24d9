"""Charts are small pictures that show what stands in the report, whatever names stand there."""

import io

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from sunriza_assets.costs import charts
from sunriza_assets.costs.reports import Report

NASTY = "=x|<script>`*$a$\x1b[31m"


def costs(rows: int) -> Report:
    names = ([NASTY, "ada", "bob"] + [f"avatar-{i}" for i in range(rows)])[:rows]
    days = [f"2025-10-{31 - i:02}" for i in range(rows)]
    return Report(
        title="Costs by avatar",
        rows=pd.DataFrame(
            {
                "avatar": pd.Categorical(names),
                "price_book": "perf-2025-10",
                "day": days,
                "cost": [10.0 / (i + 1) if i != 1 else None for i in range(rows)],
                "seconds": [70.0 + i for i in range(rows)],
            }
        ),
    )


def stages(shares: list[float]) -> Report:
    names = [f"stage-{i}" for i in range(len(shares))]
    return Report("Share of each stage", pd.DataFrame({"stage": names, "share": shares}))


def pixels(picture: bytes) -> NDArray[np.uint8]:
    assert len(picture) < 50_000
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.format == "WEBP"
        assert opened.size[0] == 640
        return np.asarray(opened.convert("RGB"))


def near(picture: NDArray[np.uint8], color: str) -> NDArray[np.bool_]:
    """Which pixels have a colour."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return np.abs(picture.astype(int) - wanted).max(axis=2) < 24


def test_a_bar_is_as_long_as_its_value() -> None:
    report = Report("Costs", pd.DataFrame({"avatar": ["ada", "bob"], "cost": [8.0, 2.0]}))
    ink = near(pixels(charts.bar_chart(report, ["avatar"], "cost", unit="USD")), charts.INK)
    lengths = np.unique(ink.sum(axis=1))
    long, short = lengths.max(), min(length for length in lengths if length > 20)
    assert long / short == pytest.approx(4, rel=0.05)


def test_columns_go_from_the_oldest_to_the_latest() -> None:
    report = Report("Costs", pd.DataFrame({"day": ["d2", "d1"], "cost": [8.0, 2.0]}))
    ink = near(pixels(charts.column_chart(report, "day", "cost", unit="USD")), charts.INK)
    heights = ink.sum(axis=0)
    tall, low = heights.max(), heights.max() // 4
    assert np.argmax(heights == tall) > np.argmax(np.abs(heights - low) <= 3)


def test_shares_fill_one_bar_however_many_there_are() -> None:
    few = pixels(charts.share_chart(stages([0.8, 0.17, 0.03])))
    many = pixels(charts.share_chart(stages([0.3] + [0.7 / 40] * 40)))
    for picture in (few, many):
        row = (picture.astype(int).sum(axis=2) < 700).sum(axis=1)
        assert row.max() > 450


@pytest.mark.parametrize("rows", [0, 1, 3, 30])
def test_any_report_and_any_name_can_be_drawn(rows: int) -> None:
    report = costs(rows)
    pixels(charts.bar_chart(report, ["avatar", "price_book"], "cost", unit="USD"))
    pixels(charts.bar_chart(report, ["avatar"], "cost", unit="USD", upper="seconds", limit=2))
    pixels(charts.column_chart(report, "day", "cost", unit="$USD$"))


def test_a_label_names_only_what_tells_bars_apart() -> None:
    rows = pd.DataFrame(
        {"asset": ["idle", "mask"], "engine": ["mesh", "(none)"], "device": "EPYC", "s": [3.0, 1.0]}
    )

    def drawn(*labels: str) -> bytes:
        return charts.bar_chart(Report("Runtime", rows), labels, "s", unit="s")

    assert drawn("asset", "device") == drawn("asset")
    assert drawn("asset", "engine", "device") != drawn("asset")

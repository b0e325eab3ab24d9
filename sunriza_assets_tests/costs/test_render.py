"""Every form of a report shows the same rows, and no name gets out of its cell."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from sunriza_assets.costs import render
from sunriza_assets.costs.reports import Report

NASTY = '=x|<script>alert("1")</script>`*$a$\x1b[31m'


def report(rows: int = 3) -> Report:
    names = [NASTY, "ada", "bob"] + [f"avatar-{i}" for i in range(rows - 3)]
    return Report(
        title="Costs by avatar",
        rows=pd.DataFrame(
            {
                "avatar": pd.Categorical(names),
                "price_book": "perf-2025-10",
                "cost": [0.0116667, None, 12.5] + [0.0001] * (rows - 3),
                "steps": 3,
                "seconds": [70.0, 3.25, 12345.0] + [1.0] * (rows - 3),
            }
        ),
        facts={"price_book": "perf-2025-10", "total_cost": {"USD": 12.5116667}},
        warnings=("1 steps (3.2 s) on NVIDIA H200 have no cost",),
    )


def test_text_has_every_row_its_sums_and_its_warnings() -> None:
    text = render.to_text(report())
    assert "0.01167" in text
    assert "12.50" in text
    assert render.EMPTY in text
    assert "price book perf-2025-10" in text
    assert "total cost 12.51 USD" in text
    assert "H200" in text
    assert "\x1b" not in text


def test_what_is_left_out_is_said() -> None:
    assert "… and 7 more" in render.to_text(report(10), limit=3)
    assert "… and 7 more" in render.to_markdown(report(10), limit=3)
    assert "… and 7 more" in render.to_html("t", [report(10)], limit=3)


def test_csv_reads_back() -> None:
    back = pd.read_csv(io.StringIO(render.to_csv(report())))
    assert list(back.columns) == ["avatar", "price_book", "cost", "steps", "seconds"]
    assert back["avatar"][0] == NASTY
    assert back["cost"].isna().tolist() == [False, True, False]


def test_json_has_null_for_what_is_unknown() -> None:
    content = json.loads(json.dumps(render.to_json(report()), allow_nan=False))
    assert content["rows"][1]["cost"] is None
    assert content["rows"][0]["avatar"] == NASTY
    assert content["total_cost"] == {"USD": 12.5116667}


class Cells(HTMLParser):
    """Collects the text of cells, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "td":
            self.cells[-1] += data


def test_html_holds_names_in_their_cells_and_needs_no_network() -> None:
    page = render.to_html("Costs", [report()], pictures=[b"RIFF"])
    cells = Cells()
    cells.feed(page)
    assert "script" not in cells.tags
    assert any("alert" in cell for cell in cells.cells)
    assert "http" not in page
    assert 'src="data:image/webp;base64,' in page


def test_a_page_says_once_what_several_tables_have_in_common() -> None:
    page = render.to_html("Costs", [report(), report(5)])
    assert page.count("total cost 12.51 USD") == 1
    assert page.count("H200") == 1
    assert page.count("<table>") == 2


def test_markdown_holds_names_in_their_cells() -> None:
    lines = render.to_markdown(report()).splitlines()
    row = next(line for line in lines if "alert" in line)
    assert "<script>" not in row
    assert row.replace("\\|", "").count("|") == len(lines[2].split("|")) - 1


def test_reports_are_written_in_three_forms(tmp_path: Path) -> None:
    paths = render.write_report(tmp_path / "reports", "cost_report", "Costs", [report(), report(5)])
    assert {path.suffix for path in paths} == {".parquet", ".csv", ".html"}
    assert len(pd.read_parquet(paths[0])) == 3
    assert pd.read_parquet(paths[0])["cost"].sum() == pytest.approx(12.5116667)
    assert not list((tmp_path / "reports").glob(".*"))

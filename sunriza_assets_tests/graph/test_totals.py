"""One run, one total: manifest, preview page, reports, command line and demo show the same."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from sunriza_assets.cli.render import results_table
from sunriza_assets.cli.report import report
from sunriza_assets_tests.graph.accounts import MADE_ANEW, manifest_of
from sunriza_assets_tests.graph.conftest import SHORT, Installation

PAGE_DATA = re.compile(r'<script type="application/json" id="avatar">(.*?)</script>', re.DOTALL)


def tables_of_page(installation: Installation, result: dict[str, Any]) -> dict[str, dict[str, str]]:
    (page,) = result["assets"]["preview_page"]["files"]
    found = PAGE_DATA.search(Path(page).read_text("utf-8"))
    assert found is not None
    return dict(json.loads(found[1])["tables"])


def printed(result: dict[str, Any]) -> str:
    console = Console(width=400, record=True)
    with console.capture() as capture:
        console.print(results_table("ada", result))
    return capture.get()


def reported(*words: str) -> list[dict[str, Any]]:
    called = CliRunner().invoke(report, [*words, "--json"], catch_exceptions=False)
    return list(json.loads(called.stdout)["rows"])


def row_of(rows: Sequence[dict[str, Any]], run_id: str) -> dict[str, Any]:
    (row,) = (row for row in rows if row["run"] == run_id)
    return row


def assert_one_total(installation: Installation, result: dict[str, Any]) -> None:
    manifest = manifest_of(installation)
    assert manifest.run_id == result["run_id"]
    seconds, cost = manifest.seconds, manifest.cost
    assert cost is not None

    assert result["total"]["seconds"] == pytest.approx(seconds, abs=1e-6)
    assert result["total"]["cost"] == pytest.approx(cost, rel=1e-12)
    assert (result["total"]["currency"], result["total"]["price_book"]) == ("USD", "perf-2025-10")

    words = f"{seconds:.2f} s, cost {cost:.6f} USD by perf-2025-10"
    table = printed(result)
    assert words in table
    (total_row,) = (line for line in table.splitlines() if re.search(r"^\W*total\b", line))
    assert f"{seconds:.2f}" in total_row
    assert f"{cost:.6f} USD" in total_row

    page = tables_of_page(installation, result)
    assert page["Seconds"]["total"] == f"{seconds:.2f}"
    assert page["Cost"]["total"] == f"{cost:.6f} USD"
    assert page["Cost"]["price book"] == "perf-2025-10"

    costs = row_of(reported("costs", "--by", "run"), result["run_id"])
    assert costs["published_seconds"] == pytest.approx(seconds, abs=1e-6)
    assert costs["published_cost"] == pytest.approx(cost, rel=1e-9)
    assert costs["currency"] == "USD"
    assert costs["seconds"] > costs["published_seconds"], "the page was made afterwards"
    runtime = row_of(reported("runtime", "--by", "run"), result["run_id"])
    assert runtime["p50_s"] == pytest.approx(seconds, abs=1e-6)


@pytest.mark.usefixtures("ada")
def test_a_run_has_one_total(installation: Installation) -> None:
    assert_one_total(installation, installation.runs.render("ada", parameters=SHORT, force=True))


def test_steps_that_are_used_again_are_in_no_total(
    installation: Installation, ada: dict[str, Any]
) -> None:
    only = [*MADE_ANEW, "preview_page"]
    again = installation.runs.render("ada", only=only, parameters={"driving_multiplier": 1.1})
    assert again["error"] is None
    assert_one_total(installation, again)
    assert tables_of_page(installation, again)["Seconds"]["hero_image"] == "used again"


def test_a_run_that_publishes_nothing_has_the_total_of_its_steps(
    installation: Installation, ada: dict[str, Any]
) -> None:
    made = installation.runs.render("ada", only=["mask", "roi"])
    steps = [made["assets"][name]["metadata"] for name in ("mask", "roi")]
    assert made["total"]["seconds"] == pytest.approx(sum(step["wall_s"] for step in steps))
    row = row_of(reported("costs", "--by", "run"), made["run_id"])
    assert row["published_seconds"] is None
    assert row["seconds"] == pytest.approx(made["total"]["seconds"])

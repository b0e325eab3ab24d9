"""What can be asked afterwards: reports in files, in the UI, on the command line, and lineage."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from resources.accounting.event_log import plain_metadata
from sunriza_assets.cli.lineage import lineage
from sunriza_assets.cli.report import report
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.definitions import build_defs
from sunriza_assets.graph.jobs import REFRESH_REPORTS
from sunriza_assets_tests.graph.accounts import published
from sunriza_assets_tests.graph.conftest import Installation


def test_what_made_a_file_is_known_from_its_hash(
    installation: Installation, ada: dict[str, Any], tmp_path: Path
) -> None:
    renamed = tmp_path / "download (1).mp4"
    renamed.write_bytes((published(installation) / "idle.mp4").read_bytes())
    text = CliRunner().invoke(lineage, ["--file", str(renamed)], catch_exceptions=False).stdout
    assert text.startswith("ada  run ")
    assert "hero_video" in text
    tree = CliRunner().invoke(lineage, ["ada"], catch_exceptions=False).stdout
    assert tree.startswith("ada  run ")
    uploaded = str(installation.sample.portrait)
    assert "This file went into:" in CliRunner().invoke(lineage, ["--file", uploaded]).stdout


def test_the_report_assets_write_files_and_small_previews(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    before = len(ledger)
    job = build_defs().resolve_job_def(REFRESH_REPORTS.name)
    result = job.execute_in_process(instance=installation.instance)
    assert result.success
    made = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    for name in ("runtime_report", "cost_report"):
        files = [
            installation.home.reports / f"{name}.{kind}" for kind in ("parquet", "csv", "html")
        ]
        assert len(pd.read_parquet(files[0])) == len(pd.read_csv(files[1])) > 0
        page = files[2].read_text()
        assert "ada" in page
        assert page.count("data:image/webp") >= 2
        facts = plain_metadata(made[name])
        shown = [value for value in facts.values() if isinstance(value, str)]
        assert sum("](data:image/webp" in text for text in shown) >= 2
        assert max(map(len, shown)) <= 50_000
        assert facts["wall_s"] > 0
        assert 300 < len(facts["look"]) < 1000, "which the UI shows without a click"
        assert facts["open"] == f"/files/reports/{name}.html"
        assert (installation.home.storage / "reports" / f"{name}.html").read_text() == page
    costs = plain_metadata(made["cost_report"])
    assert costs["total_cost"] == pytest.approx(
        pd.read_parquet(installation.home.reports / "cost_report.parquet")["cost"].sum()
    )
    assert before <= costs["steps"]


def test_the_command_reads_the_log_before_it_reports(
    installation: Installation, ada: dict[str, Any], ledger: Ledger
) -> None:
    before = len(ledger)
    installation.runs.render("ada", only=["roi"])
    result = CliRunner().invoke(
        report, ["costs", "--by", "asset", "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert '"roi"' in result.stdout
    assert len(ledger) == before + 1
    again = CliRunner().invoke(report, ["runtime", "--json"], catch_exceptions=False)
    assert again.exit_code == 0
    assert len(ledger) == before + 1

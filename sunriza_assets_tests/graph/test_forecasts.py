"""What a run says it will take, and what is said when it takes too much."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from resources.accounting.forecast import forecast
from resources.avatars.local import LocalAvatars
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.errors import ParameterError
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets_tests.graph.accounts import BEHIND, manifest_of, told
from sunriza_assets_tests.graph.conftest import SHORT, Installation


def test_a_run_says_beforehand_what_it_will_take(
    installation: Installation, ada: dict[str, Any]
) -> None:
    announced: dict[str, Any] = {}
    seen: list[tuple[int, int]] = []

    def look(*_: object) -> None:
        basic = LocalAvatars(installation.home).get("ada").basic
        if basic["status"] == "generating":
            seen.append((basic["progress"], basic["etaSeconds"]))

    runs = AvatarRuns(installation.instance, look, lambda _, said: announced.update(said))
    result = runs.render("ada", parameters=SHORT, force=True)
    assert result["error"] is None
    assert result["estimate"] == announced
    assert announced["eta_s"] > 0
    behind = told(installation, result["run_id"])
    used_s = sum(behind[name]["cpu_s"] for name in BEHIND)
    # A busy machine takes several times the CPU seconds of a quiet one.
    assert 0.2 < announced["expected_cost"] / (used_s * 0.10 / 3600) < 5
    assert "like runs" in announced["estimate_basis"]
    assert announced["estimate_clip_frames"] == 75, "the clip is that of the last run"
    percents, etas = zip(*seen, strict=True)
    assert list(percents) == sorted(percents)
    assert etas[0] == pytest.approx(announced["eta_s"], abs=1.0)
    assert etas[-1] <= etas[0]
    basic = LocalAvatars(installation.home).get("ada").basic
    assert "etaSeconds" not in basic
    facts = told(installation, result["run_id"])["published_avatar"]
    assert facts["eta_s"] > 0
    assert facts["estimate_clip_frames"] == 75


def test_a_clip_that_nobody_knows_is_looked_at(
    installation: Installation, ada: dict[str, Any]
) -> None:
    add_avatar("newcomer", installation.sample.portrait, installation.sample.clip)
    newcomer = LocalAvatars(installation.home).get("newcomer")

    def frames(**said: float) -> int:
        return forecast(installation.instance, newcomer, BEHIND, launchpad=said).clip_frames

    assert frames() == len(installation.sample.mouth_opening)
    assert frames(max_seconds=2.0) == 50


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> Iterator[Any]:
    """Publishes ada again under a budget; the check's word."""

    def check(said: str | None) -> dg.AssetCheckEvaluation:
        if said is not None:
            monkeypatch.setenv("SUNRIZA_BUDGET", said)
        result = installation.runs.render("ada", only=["published_avatar"], force=True)
        assert result["status"] == "ready", "a budget stops nothing"
        records = installation.instance.get_records_for_run(
            result["run_id"], of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
        (event,) = [record.event_log_entry.dagster_event for record in records]
        assert event is not None
        return event.asset_check_evaluation_data

    yield check


def test_a_budget_warns_and_stops_nothing(ada: dict[str, Any], budget: Any) -> None:
    assert budget(None).passed
    assert budget("1000").passed
    over = budget("0.00000001")
    assert not over.passed
    assert over.severity == dg.AssetCheckSeverity.WARN
    assert "the budget is 1e-08" in over.description
    with pytest.raises(ParameterError, match="SUNRIZA_BUDGET"):
        budget("much")


def test_a_device_without_a_price_costs_nobody_knows_what(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch, budget: Any
) -> None:
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "musetalk")  # which prices no CPU
    said = budget("1000")
    assert not said.passed
    assert "not known" in said.description
    facts = told(installation, manifest_of(installation).run_id)["published_avatar"]
    assert "cost" not in facts
    assert "musetalk has no price" in facts["cost_warning"]
    assert manifest_of(installation).cost is None


def test_a_price_book_that_is_none_is_told_before_anything_is_made(
    installation: Installation, ada: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "gold")
    result = installation.runs.render("ada")
    assert result["error"]["code"] == "cost.price_book"
    assert result["assets"] == {}

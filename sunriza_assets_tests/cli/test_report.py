"""`sunriza report` and `sunriza lineage`, called as a user calls them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from resources.publishing.publication import folder_of
from resources.stores import open_stores
from sunriza_assets.cli.lineage import lineage
from sunriza_assets.cli.report import report
from sunriza_assets.costs.archive import ARCHIVE_FOLDER, ManifestArchive
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest, file_fact
from sunriza_assets.errors import AvatarError, CostError
from sunriza_assets_tests.costs.logs import MONDAY, T4, step
from sunriza_assets_tests.costs.manifests import made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.delenv("SUNRIZA_PRICE_BOOK", raising=False)
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@pytest.fixture
def ledger(home: Path) -> Ledger:
    """An hour on a T4 for ada; a CPU hour, booked by another book, for bob, ten days later."""
    ledger = Ledger(home / "reports" / LEDGER_FOLDER)
    ledger.update(
        [
            step(1, 3600.0, device=T4, stages={"render": 3000.0, "encode": 600.0}, clip_s=10.0),
            step(2, 3600.0, avatar="bob", run="run-2", at=MONDAY + 864_000,
                 book="deployment-2025-01"),
        ]
    )  # fmt: skip
    return ledger


def called(*arguments: str, command: Any = report) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def as_json(*arguments: str, command: Any = report) -> Any:
    result = called(*arguments, "--json", command=command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("ledger")
def test_costs_by_avatar_and_book() -> None:
    said = as_json("costs")
    assert {row["avatar"]: row["cost"] for row in said["rows"]} == {
        "ada": pytest.approx(0.60),
        "bob": pytest.approx(0.10),
    }
    assert said["price_book"] == "perf-2025-10"
    assert as_json("costs", "--book", "deployment-2025-01")["total_cost"]["USD"] == pytest.approx(
        2.88 + 0.36
    )
    booked = as_json("costs", "--book", "booked", "--by", "asset")
    assert {row["price_book"]: row["cost"] for row in booked["rows"]} == {
        "perf-2025-10": pytest.approx(0.60),
        "deployment-2025-01": pytest.approx(0.36),
    }


@pytest.mark.usefixtures("ledger")
def test_the_price_book_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNRIZA_PRICE_BOOK", "musetalk")
    said = as_json("costs")
    assert said["total_cost"]["USD"] == pytest.approx(1.62)
    assert any("no cost" in line for line in said["warnings"])


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("since", "avatars"),
    [("2025-10-25", {"bob"}), ("2025-10-20T00:00", {"ada", "bob"}), ("1m", set())],
)
def test_since(since: str, avatars: set[str]) -> None:
    assert {row["avatar"] for row in as_json("costs", "--since", since)["rows"]} == avatars


@pytest.mark.usefixtures("ledger")
def test_runtime_tells_stages_too() -> None:
    said = as_json("runtime")
    assert said["rows"][0]["p50_s"] == 3600.0
    assert {row["stage"]: row["share"] for row in said["stages"]}["render"] == pytest.approx(5 / 12)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("form", ["table", "csv", "json", "html"])
@pytest.mark.parametrize("words", [("costs",), ("runtime",), ("what-if", "--devices", "T4,H200")])
def test_every_report_in_every_form(words: tuple[str, ...], form: str) -> None:
    result = called(*words, "--format", form)
    assert result.exit_code == 0
    assert ("ada" if words[0] == "costs" else "T4") in result.stdout
    assert result.stderr == ""


def test_an_empty_home_gives_empty_reports_and_makes_nothing(home: Path) -> None:
    assert as_json("costs")["rows"] == []
    assert as_json("runtime", "--by", "day")["rows"] == []
    assert called("runtime").exit_code == 0
    assert not (home / "reports").exists()


def test_what_if_gives_the_documents_table(home: Path) -> None:
    said = as_json(
        "what-if", "--requests-per-day", "10,50,100,500,1000", "--seconds", "70",
        "--devices", "T4,A10G",
    )  # fmt: skip
    monthly: dict[str, list[float]] = {}
    for row in said["rows"]:
        monthly.setdefault(row["device"], []).append(round(row["cost_per_month"], 2))
    assert monthly == {
        "T4": [3.50, 17.50, 35.00, 175.00, 350.00],
        "A10G": [8.75, 43.75, 87.50, 437.50, 875.00],
    }
    assert {row["own_basis"] for row in said["rows"]} == {
        "stated",
        "estimated from memory bandwidth",
    }


@pytest.mark.usefixtures("ledger")
def test_what_if_knows_what_was_measured_and_what_is_said() -> None:
    rows = as_json("what-if", "--devices", "T4,A10G", "--device-seconds", "A10G=30")["rows"]
    own = {row["device"]: (row["own_seconds"], row["own_basis"]) for row in rows}
    assert own == {"T4": (3600.0, "measured (1 runs)"), "A10G": (30.0, "stated")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("costs", "--since", "tomorrow"),
        ("costs", "--by", "colour"),
        ("costs", "--limit", "0"),
        ("what-if", "--requests-per-day", "ten"),
        ("what-if", "--requests-per-day", "-1"),
        ("what-if", "--seconds", "0"),
        ("what-if", "--device-seconds", "T4"),
        ("what-if", "--cache-hit-rate", "2"),
    ],
)
def test_wrong_arguments_are_refused(home: Path, arguments: tuple[str, ...]) -> None:
    assert called(*arguments).exit_code == 2


def test_an_unknown_book_is_a_named_error(home: Path) -> None:
    with pytest.raises(CostError, match="perf-2025-10"):
        called("costs", "--book", "gold")


def test_lineage_of_an_avatar(home: Path) -> None:
    manifest = made()
    manifest.save(home / "draft.json")
    open_stores().storage.put(home / "draft.json", f"{folder_of('ada')}/{MANIFEST_NAME}")
    text = called("ada", command=lineage).stdout
    assert text.startswith("ada")
    assert "idle.mp4" in text
    found = as_json("ada", command=lineage)["found"]
    assert found[0]["manifest"]["runId"] == "run-1"


def test_an_avatar_without_a_manifest_is_a_named_error(home: Path) -> None:
    with pytest.raises(AvatarError, match="sunriza render bob"):
        called("bob", command=lineage)
    with pytest.raises(AvatarError):
        called("../bob", command=lineage)


def test_lineage_of_a_file_by_its_content(home: Path) -> None:
    """By the archive first; without one, by searching what is published."""
    file = home / "renamed.mp4"
    file.write_bytes(b"an idle")
    manifest = made(outputs=[file_fact(file, "idle.mp4")])
    with pytest.raises(CostError, match="No avatar has"):
        called("--file", str(file), command=lineage)
    manifest.save(home / "draft.json")
    open_stores().storage.put(home / "draft.json", f"{folder_of('ada')}/{MANIFEST_NAME}")
    assert "ada" in called("--file", str(file), command=lineage).stdout
    ManifestArchive(home / "reports" / ARCHIVE_FOLDER).add(manifest)
    digest = file_fact(file).sha256
    assert as_json("--sha256", digest, command=lineage) == as_json(
        "--file", str(file), command=lineage
    )
    clip: Manifest = manifest
    text = called("--sha256", clip.inputs[1].sha256, command=lineage).stdout
    assert text.startswith("This file went into:")


@pytest.mark.parametrize("arguments", [(), ("ada", "--sha256", "a" * 64)])
def test_lineage_wants_one_thing(home: Path, arguments: tuple[str, ...]) -> None:
    assert called(*arguments, command=lineage).exit_code == 2

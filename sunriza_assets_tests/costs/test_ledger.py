"""The ledger: each step once, whatever is fed again, killed, merged or deleted."""

import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sunriza_assets.costs import ledger as ledger_module
from sunriza_assets.costs import ledger_index
from sunriza_assets.costs.events import LogCursor, StepEvent, row_of, table_of
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.ledger_index import LedgerIndex
from sunriza_assets.errors import CostError, StoreError
from sunriza_assets_tests.costs.logs import MONDAY, step


def keys(ledger: Ledger) -> list[tuple[str, str, str | None, int]]:
    frame = ledger.frame(["run_id", "asset", "partition", "event_id"])
    return sorted(
        (row.run_id, row.asset, str(row.partition), row.event_id) for row in frame.itertuples()
    )


def test_an_empty_ledger_has_the_columns_of_a_full_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert (len(ledger), ledger.cursor) == (0, LogCursor())
    assert {"wall_s", "time", "cache"} <= set(ledger.frame().columns)
    assert not (tmp_path / "ledger").exists()


def test_what_was_measured_comes_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    event = step(
        7,
        12.5,
        at=MONDAY + 0.25,
        avatar=None,
        stages={"decode": 2.5, "render": 10.0},
        cache="hit",
        cache_saved_s=3.0,
        cold=False,
        frames=250,
        engine="mesh",
    )
    ledger.update([event])
    row = ledger.frame().iloc[0]
    assert (row.wall_s, row.stage_decode_s, row.stage_render_s) == (12.5, 2.5, 10.0)
    assert (row.cache, row.cache_saved_s, row.frames, row.engine) == ("hit", 3.0, 250, "mesh")
    assert row.cold is False or row.cold == False  # noqa: E712 - numpy's own False
    assert row.time.to_pydatetime() == datetime.fromtimestamp(MONDAY + 0.25, UTC)
    assert row.cost == pytest.approx(12.5 * 0.10 / 3600)
    assert row.price_book == "perf-2025-10"


def test_feeding_events_again_changes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    events = [step(i, run=f"run-{i // 3}") for i in range(1, 10)]
    assert ledger.update(events).added == 9
    files = sorted(path.name for path in tmp_path.glob("*.parquet"))
    again = ledger.update(events[4:])
    assert (again.added, again.known) == (0, 5)
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == files


def test_a_re_run_is_a_row_of_its_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update([step(1, 10.0), step(2, 11.0), step(3, 12.0, run="run-2")])
    assert ledger.frame(["wall_s"])["wall_s"].sum() == 33.0


def test_the_rows_outlive_the_log(tmp_path: Path) -> None:
    """Runs are deleted, a new log starts to count from one: nothing is lost, nothing collides."""
    ledger = Ledger(tmp_path)
    ledger.update([step(i, run=f"old-{i}") for i in range(1, 6)], cursor=LogCursor("old", 5))
    ledger.update([step(i, run=f"new-{i}") for i in range(1, 4)], cursor=LogCursor("new", 3))
    assert len(ledger) == 8
    assert ledger.cursor == LogCursor("new", 3)


def test_a_killed_step_keeps_the_logs_own_seconds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    killed = StepEvent("run-1", "idle_video", "ada", 4, MONDAY, False, {}, elapsed_s=42.0)
    assert ledger.update([killed]).added == 1
    row = ledger.frame().iloc[0]
    assert (row.success, row.measured, row.wall_s, row.device) == (False, False, 42.0, "unknown")


def test_what_is_no_record_is_counted_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    foreign = StepEvent("run-1", "other_asset", None, 1, MONDAY, True, {"rows": 5})
    broken = StepEvent("run-1", "idle_video", "ada", 2, MONDAY, True, {"wall_s": "long"})
    hostile = step(3, stages={"../../etc": 1.0})
    update = ledger.update([foreign, broken, hostile, step(4)])
    assert (update.added, update.unmeasured, update.refused) == (1, 1, 2)


def test_the_cursor_moves_on_over_events_without_rows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    read = LogCursor("log", 99)
    assert ledger.update([], cursor=read).cursor == read
    ledger.update([step(5)])
    ledger.update([step(6)], cursor=LogCursor("log", 98))  # a slower process, which read less
    assert ledger.cursor == read


def test_many_small_updates_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "FULL_ROWS", 40)
    ledger = Ledger(tmp_path)
    for i in range(1, 100):
        ledger.update([step(i, float(i), stages={f"stage{i % 5}": float(i)})])
    files = list(tmp_path.glob("*.parquet"))
    assert len(files) <= ledger_module.MAX_SMALL_FILES + 99 // 40 + 1
    assert max(pq.read_metadata(path).num_rows for path in files) <= 41
    assert len(ledger) == 99
    assert ledger.frame()["wall_s"].sum() == sum(range(1, 100))
    assert ledger.frame(["stage_*"]).sum().sum() == sum(range(1, 100))
    newest = ledger.recent(5, ["event_id", "stage_*"]).to_pandas()
    assert list(newest["event_id"]) == [99, 98, 97, 96, 95]
    assert newest["stage_stage4_s"][0] == 99.0


def test_files_of_an_earlier_version_lack_columns(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update([step(1)])
    (file,) = tmp_path.glob("*.parquet")
    earlier = pq.read_table(file).drop_columns(["kind", "engine_version"])
    pq.write_table(earlier, file)
    assert ledger.update([step(1), step(2)]).added == 1
    assert len(keys(ledger)) == 2
    assert ledger.frame()["kind"].isna().all()


def test_since_keeps_what_happened_from_then_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for i in range(1, 5):
        ledger.update([step(i, at=MONDAY + i)])
    since = datetime.fromtimestamp(MONDAY + 3, UTC)
    assert set(ledger.frame(since=since)["event_id"]) == {3, 4}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    feeds=st.lists(
        st.lists(st.integers(min_value=1, max_value=12), max_size=8), min_size=1, max_size=6
    )
)
def test_the_ledger_is_the_set_of_all_it_was_fed(
    tmp_path_factory: pytest.TempPathFactory, feeds: list[list[int]]
) -> None:
    """Idempotent, and free of order: any feeds of parts end where one feed of all does."""
    pool = {
        i: step(i, float(i), run=f"run-{i % 3}", asset=("mask", "roi")[i % 2]) for i in range(1, 13)
    }
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    for feed in feeds:
        ledger.update([pool[i] for i in feed])
    fed = {i for feed in feeds for i in feed}
    expected = [row_of(pool[i]) or {} for i in fed]
    assert keys(ledger) == sorted(
        (row["run_id"], row["asset"], row["partition"], row["event_id"]) for row in expected
    )
    assert ledger.frame(["wall_s"])["wall_s"].sum() == sum(fed)


def test_a_kill_between_file_and_index_leaves_the_old_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update([step(1)])
    child = multiprocessing.get_context("spawn").Process(
        target=_die_before_commit, args=(tmp_path,)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    assert keys(ledger) == [("run-1", "idle_video", "ada", 1)]
    assert ledger.update([step(2), step(3)]).added == 2
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    assert len(ledger) == 3


def _die_before_commit(folder: Path) -> None:
    def write(index: LedgerIndex, folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    ledger_index.LedgerIndex.write = write  # type: ignore[method-assign]
    Ledger(folder).update([step(2)])


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_many, args=(tmp_path, start)) for start in (1, 11)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(Ledger(tmp_path)) == 20


def _write_many(folder: Path, start: int) -> None:
    for i in range(start, start + 10):
        Ledger(folder).update([step(i)])


def test_damage_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.update([step(1)])
    file = next(tmp_path.glob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(b"no parquet" * 10)
    with pytest.raises(CostError, match=file.name):
        ledger.frame()
    file.unlink()
    with pytest.raises(CostError, match="lacks a file"):
        ledger.frame()
    file.write_bytes(content)
    index = tmp_path / "index.json"
    content = index.read_text()
    index.write_text(content.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(CostError, match="version 2"):
        ledger.frame()
    index.write_text(content[:20])
    with pytest.raises(CostError, match="damaged"):
        ledger.update([step(2)])


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        Ledger(tmp_path / "file" / "ledger").update([step(1)])


@pytest.mark.slow
def test_an_update_opens_no_full_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in rows read, not in seconds, with files that are full at a tenth of their size."""
    monkeypatch.setattr(ledger_module, "FULL_ROWS", 25_000)
    ledger, rows = Ledger(tmp_path), 100_000
    ledger.update(
        step(i, run=f"run-{i // 9}", asset=f"asset-{i % 9}", at=MONDAY + i)
        for i in range(1, rows + 1)
    )
    for start in range(rows + 1, rows + 4001, 100):  # lets the bulk's small files merge
        ledger.update([step(i, at=MONDAY + i) for i in range(start, start + 100)])
    opened: list[int] = []

    class Watched(Ledger):
        def _load(self, file, columns):  # type: ignore[no-untyped-def]
            opened.append(file.rows)
            return super()._load(file, columns)

    Watched(tmp_path).update([step(i) for i in range(rows + 4001, rows + 4101)])
    assert sum(opened) <= ledger_module.FULL_ROWS + 10_000
    assert len(ledger) == rows + 4100


def test_columns_are_what_pyarrow_would_make_of_the_rows() -> None:
    rows = [
        {"time": 1_700_000_000_000_000, "run_id": "äß", "asset": "", "event_id": 2**40 + 1,
         "success": True, "cost": 0.1, "stage_draw_s": 1e-9},
        {"time": 1, "run_id": "", "event_id": -1, "success": False, "measured": None},
        *({"event_id": number, "measured": number % 3 == 0} for number in range(20)),
    ]  # fmt: skip
    for some in (rows, rows[:1], []):
        made = table_of(some)
        made.validate(full=True)
        asked = {name: [row.get(name) for row in some] for name in made.schema.names}
        assert made.equals(pa.table(asked, schema=made.schema))


def test_learning_from_a_ledger_does_not_load_pandas(tmp_path: Path) -> None:
    """Every run does it before it begins, and pandas takes longer to load than all of it."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sunriza_assets.costs.devices import cpu\n"
        "from sunriza_assets.costs.estimates import estimate, recent_steps\n"
        "from sunriza_assets.costs.events import StepEvent\n"
        "from sunriza_assets.costs.ledger import Ledger\n"
        "from sunriza_assets.costs.prices import price_book\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "told = {'wall_s': 1.0, 'device': 'x', 'device_kind': 'cpu'}\n"
        "events = [StepEvent('r', 'roi', 'ada', k, 1.7e9 + k, True, told) for k in range(40)]\n"
        "assert ledger.update(events).added == 40\n"
        "assert ledger.update(events).known == 40\n"
        "estimate(recent_steps(ledger), ['roi'], price_book(), engine='mesh', device=cpu(),\n"
        "         host=cpu(), clip_frames=25)\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)

"""Direct calls: booked by the minute, read once, never mixed up with steps."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from sunriza_assets.costs import ledger as ledger_module
from sunriza_assets.costs.calls import CallBook, read_calls
from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.costs.spoken import SpokenFacts
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.costs.logs import MONDAY, clip_run, step

CPU, T4 = Device("AMD EPYC", "cpu"), Device("Tesla T4", "cuda")


def book(folder: Path, at: float = MONDAY) -> CallBook:
    return CallBook(folder, price_book(), clock=lambda: at)


def render(calls: CallBook, owner: str | None = "ada", cpu_s: float = 0.06) -> None:
    calls.add("render", owner, device=CPU, wall_s=0.1, cpu_s=cpu_s, engine="mesh")


def test_a_minute_is_a_row_for_each_owner_and_kind(tmp_path: Path) -> None:
    calls, ledger = book(tmp_path / "calls"), Ledger(tmp_path / "ledger")
    for _ in range(10):
        render(calls)
    render(calls, "bob", 3.6)
    calls.add("trim", "ada", device=CPU, wall_s=2.0, cpu_s=3.0)
    calls.add("render", "ada", device=T4, wall_s=0.5, cpu_s=0.1, gpu_s=0.5, calls=7)
    calls.flush()
    calls.flush()  # nothing more
    assert ledger.add_calls(tmp_path / "calls").added == 4
    assert ledger.add_calls(tmp_path / "calls").added == 0
    frame = ledger.frame().set_index(["kind", "owner", "device"])
    ada = frame.loc["render", "ada", "AMD EPYC"]
    assert (ada["calls"], ada["engine"], ada["asset"]) == (10, "mesh", "render")
    assert ada["cpu_s"] == pytest.approx(0.6)
    bob = frame.loc["render", "bob", "AMD EPYC"]
    assert bob["cost"] == pytest.approx(3.6 * 0.10 / 3600)
    assert frame.loc["render", "ada", "Tesla T4"]["gpu_s"] == 0.5


def test_each_spoken_sound_is_a_row_and_a_hit_costs_nothing(tmp_path: Path) -> None:
    calls, ledger = book(tmp_path / "calls"), Ledger(tmp_path / "ledger")
    made = SpokenFacts("de", "GPL-3.0-or-later", "de", 12, 1.5, "miss")
    other = replace(made, characters=40, sound_s=4.0)
    again = replace(made, cache="hit", cache_saved_s=0.2)
    for spoken, cpu_s in ((made, 0.2), (other, 0.5)):
        calls.add("tts", "ada", device=CPU, wall_s=cpu_s, cpu_s=cpu_s, engine="espeak",
                  spoken=spoken)  # fmt: skip
    for _ in range(3):
        calls.add("tts", "ada", device=CPU, wall_s=0, cpu_s=0, engine="espeak", spoken=again)
    calls.flush()
    assert ledger.add_calls(tmp_path / "calls").added == 3
    rows = ledger.frame().sort_values("sound_s")
    assert list(rows["characters"]) == [12, 40, 36]
    assert list(rows["sound_s"]) == [1.5, 4.0, 4.5]
    assert set(rows["voice"]) == set(rows["language"]) == {"de"}
    assert set(rows["licence"]) == {"GPL-3.0-or-later"}
    assert list(rows["cost"])[2] == 0
    report = cost_report(ledger.frame(COST_COLUMNS), price_book(), by="kind")
    table = report.rows.set_index("kind")
    assert (table.loc["tts", "calls"], table.loc["tts", "cache_hits"]) == (5, 3)
    assert table.loc["tts", "cost"] == pytest.approx(0.7 * 0.10 / 3600)
    assert table.loc["tts", "saved_cost"] == pytest.approx(0.6 * 0.10 / 3600)
    assert report.facts["cache_hits"] == 3


def test_costs_by_kind(tmp_path: Path) -> None:
    calls, ledger = book(tmp_path / "calls"), Ledger(tmp_path / "ledger")
    render(calls)
    render(calls, None)
    calls.flush()
    ledger.update([*clip_run(1, {"idle_video": 5.0}, first_event=1)])
    ledger.update([step(9, 2.0, asset="cost_report", avatar=None)])
    ledger.add_calls(tmp_path / "calls")
    rows = cost_report(ledger.frame(COST_COLUMNS), price_book(), by="kind").rows
    table = rows.set_index("kind")
    assert set(table.index) == {"dynamics", "render", "reports"}
    assert table.loc["render", "calls"] == 2
    assert table.loc["render", "cost"] == pytest.approx(0.12 * 0.10 / 3600)
    assert table.loc["dynamics", "seconds"] == 5.0


def test_a_ledger_that_is_made_anew_has_all_calls_again(tmp_path: Path) -> None:
    calls, journal = book(tmp_path / "calls"), tmp_path / "calls"
    for ledger in (Ledger(tmp_path / "one"), Ledger(tmp_path / "two")):
        render(calls)
        calls.flush()
        ledger.add_calls(journal)
    assert (len(Ledger(tmp_path / "one")), len(Ledger(tmp_path / "two"))) == (1, 2)


def test_the_same_lines_twice_are_one_row(tmp_path: Path) -> None:
    calls, ledger = book(tmp_path / "calls"), Ledger(tmp_path / "ledger")
    render(calls)
    calls.flush()
    (file,) = (tmp_path / "calls").iterdir()
    ledger.add_calls(tmp_path / "calls")
    file.write_bytes(file.read_bytes() * 3)
    update = ledger.add_calls(tmp_path / "calls")
    assert (update.added, len(ledger)) == (0, 1)


def test_two_minutes_at_one_time_are_two_rows(tmp_path: Path) -> None:
    """The clock may be set back, and two processes may write at once."""
    ledger = Ledger(tmp_path / "ledger")
    one, other = book(tmp_path / "calls"), book(tmp_path / "calls")
    for calls in (one, other, one):
        render(calls)
        calls.flush()
    ledger.add_calls(tmp_path / "calls")
    assert len(ledger) == 3
    assert ledger.frame()["cpu_s"].sum() == pytest.approx(0.18)


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    calls = book(tmp_path / "calls")
    render(calls)
    calls.flush()
    (file,) = (tmp_path / "calls").iterdir()
    with file.open("ab") as journal:
        journal.write(b'{"run_id": "ca')
    events, reached = read_calls(tmp_path / "calls", {})
    assert len(list(events)) == 1
    assert reached[file.name] < file.stat().st_size  # it might still grow
    render(calls)
    calls.flush()
    again, _ = read_calls(tmp_path / "calls", reached)
    assert len(list(again)) == 1


def test_what_cannot_be_written_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.write_text("no folder")
    calls = book(folder)
    render(calls)
    with pytest.raises(StoreError):
        calls.flush()
    folder.unlink()
    render(calls)
    calls.flush()
    (event,) = read_calls(folder, {})[0]
    assert event.metadata["calls"] == 2


def test_calls_are_merged_apart_and_are_no_recent_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MAX_SMALL_FILES", 3)
    ledger = Ledger(tmp_path / "ledger")
    for index in range(1, 9):
        calls = book(tmp_path / "calls", MONDAY + 60 * index)
        render(calls)
        calls.flush()
        ledger.add_calls(tmp_path / "calls")
        ledger.update([step(index, at=MONDAY + 60 * index)])
    index = json.loads((tmp_path / "ledger" / "index.json").read_text())
    assert all((file["first_event"] < 100) == (file["last_event"] < 100) for file in index["files"])
    assert len(index["files"]) <= 8
    assert len(ledger) == 16
    assert ledger.recent(100, ["asset"]).num_rows == 8
    assert len(ledger.frame(["asset"], calls=False)) == 8


def _write_for_ever(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    calls = CallBook(folder, price_book())
    for number in range(1_000_000):
        calls.add("render", f"user-{number % 50}", device=CPU, wall_s=0.1, cpu_s=0.1)
        if number % 50 == 49:
            calls.flush()
            ready.set()


def test_a_writer_that_is_killed_leaves_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    writer = context.Process(target=_write_for_ever, args=(tmp_path, ready))
    writer.start()
    assert ready.wait(60)
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    events = list(read_calls(tmp_path, {})[0])
    assert len(events) >= 50
    assert len({(event.run_id, event.event_id) for event in events}) == len(events)

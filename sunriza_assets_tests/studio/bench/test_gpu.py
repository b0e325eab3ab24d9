"""The script for a GPU: it ends, keeps what it has found, and goes on where it was ended."""

import json
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from sunriza_assets.atomic import lock
from sunriza_assets.errors import ParameterError, StoreError
from sunriza_assets.studio.bench.gpu.bench import Bench
from sunriza_assets.studio.bench.gpu.child import plain
from sunriza_assets.studio.bench.gpu.memory import at_frames, at_one_frame, at_plan
from sunriza_assets.studio.bench.gpu.plan import STEPS, TOTAL_S, Settings, Step
from sunriza_assets.studio.bench.gpu.runner import ASKED, NO_CUDA, NO_TIME, measure_gpu
from sunriza_assets.studio.engines.liveportrait.painter import Painted, Painter

SETTINGS = Settings(device="cpu", tiny=True)
FAULTY = "sunriza_assets_tests.studio.bench.faulty_steps"
PATIENCE_S = 120.0


def faulty(name: str, limit_s: float = PATIENCE_S, argument: str | None = None) -> Step:
    return Step(name, f"{FAULTY}:{name}", limit_s, argument)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(holds: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_call_without_time_leaves_everything_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "new" / "gpu.json"
    found = measure_gpu(path, SETTINGS, total_s=0)
    assert json.loads(path.read_text()) == found
    assert list(found["steps"]) == [step.name for step in STEPS]
    assert not found["complete"]
    reasons = {step.name: found["steps"][step.name]["reason"] for step in STEPS}
    assert {name for name, reason in reasons.items() if reason == NO_CUDA} == {
        step.name for step in STEPS if step.needs_cuda
    }
    assert set(reasons.values()) == {NO_TIME, NO_CUDA}


def test_steps_are_left_out_as_asked_and_missing_still(tmp_path: Path) -> None:
    path, names = tmp_path / "gpu.json", [step.name for step in STEPS]
    found = measure_gpu(path, SETTINGS, skip=names)
    assert {step["reason"] for step in found["steps"].values()} == {ASKED}
    assert not found["complete"]
    with pytest.raises(ParameterError, match="Did you mean 'parity'"):
        measure_gpu(path, SETTINGS, again=["partiy"])


def test_a_report_of_other_settings_or_none_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    measure_gpu(path, SETTINGS, total_s=0)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="other settings"):
        measure_gpu(path, replace(SETTINGS, tiny=False))
    for text in (b"", b"[]", b'{"settings": 1}', b'{"settings": {}, "steps": {"a": 1}}', b"\xff"):
        path.write_bytes(text)
        with pytest.raises(StoreError, match="no report"):
            measure_gpu(path, SETTINGS)
        assert path.read_bytes() == text
    path.write_bytes(before)
    with lock(tmp_path / ".gpu.json.lock"), pytest.raises(StoreError, match="held this lock"):
        measure_gpu(path, SETTINGS, total_s=0)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    found = measure_gpu(path, SETTINGS, total_s=0)
    for state in ("done", "failed", "timeout"):
        for step in found["steps"].values():
            step |= {"state": state}
        path.write_text(json.dumps(found))
        assert measure_gpu(path, SETTINGS) == found


def test_steps_fit_into_the_time_as_far_as_they_can() -> None:
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert TOTAL_S <= 8 * 60
    assert all(step.limit_s <= TOTAL_S / 4 for step in STEPS)


def test_numbers_that_json_has_not_are_kept_as_text() -> None:
    value = {"a": (float("nan"), -float("inf")), "b": [1.234567, 7, True, None, "x"]}
    assert plain(value) == {"a": ["nan", "-inf"], "b": [1.235, 7, True, None, "x"]}


@pytest.mark.slow
def test_a_step_that_fails_crashes_or_hangs_does_not_spoil_the_rest(tmp_path: Path) -> None:
    path, pids = tmp_path / "gpu.json", tmp_path / "pids"
    steps = [faulty("raises"), faulty("crashes"), faulty("hangs", 30, str(pids)), faulty("works")]
    found = measure_gpu(path, SETTINGS, steps=steps)["steps"]
    assert {name: step["state"] for name, step in found.items()} == {
        "raises": "failed",
        "crashes": "failed",
        "hangs": "timeout",
        "works": "done",
    }
    assert found["raises"]["result"] == {"before": True}
    assert "ValueError: this goes wrong" in found["raises"]["log"]
    assert found["crashes"]["reason"] == "killed by SIGABRT"
    assert found["hangs"]["result"] == {"before": True}
    assert found["hangs"]["reason"] == "ended after 30 s"
    assert all(is_gone(int(pid)) for pid in pids.read_text().split())
    assert found["works"]["result"]["numbers"] == [1.235, "nan", "inf"]
    kept = measure_gpu(path, SETTINGS, steps=steps, again=["works"])["steps"]
    assert kept["works"]["result"]["process"] != found["works"]["result"]["process"]
    assert kept["hangs"] == found["hangs"]


@pytest.mark.slow
def test_a_call_that_is_killed_leaves_no_process_and_the_next_goes_on(tmp_path: Path) -> None:
    path, pids = tmp_path / "gpu.json", tmp_path / "pids"
    script = f"""
from pathlib import Path
from sunriza_assets.studio.bench.gpu.plan import Settings, Step
from sunriza_assets.studio.bench.gpu.runner import measure_gpu
steps = [
    Step("works", "{FAULTY}:works", 300),
    Step("hangs", "{FAULTY}:hangs", 300, {str(pids)!r}),
]
measure_gpu(Path({str(path)!r}), Settings(device="cpu", tiny=True), steps=steps)
"""
    call = subprocess.Popen([sys.executable, "-c", script])
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    call.send_signal(signal.SIGKILL)
    call.wait()
    until(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()))
    before = json.loads(path.read_text())
    assert list(before["steps"]) == ["works"]
    assert not before["complete"]
    steps = [faulty("works"), Step("hangs", f"{FAULTY}:works", PATIENCE_S)]
    after = measure_gpu(path, SETTINGS, steps=steps)
    assert after["steps"]["works"] == before["steps"]["works"]
    assert after["steps"]["hangs"]["state"] == "done"
    assert after["complete"]


class _Room:
    """Stands for a device whose memory is full from a batch of a certain size on.

    Nothing is painted: a picture is of one shade, which tells its pose.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most: int | None = None
        self._held = 0

        def limited(painter: Painter, _: Any, driving: torch.Tensor) -> Painted:
            taken = 100 + 10 * painter.batch
            if self.most is not None and taken > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            self._held = max(self._held, taken)
            shades = (1000 * driving.abs().mean(dim=(1, 2)) % 256).to(torch.uint8)
            pictures = shades[:, None, None, None].expand(-1, 512, 512, 3)
            return Painted(pictures, torch.tensor(True))

        monkeypatch.setattr(Painter, "_painted", limited)

    def peak(self) -> int:
        held, self._held = self._held, 0
        return held

    def set(self, most: int | None) -> None:
        self.most = most


@pytest.mark.slow
def test_the_cases_of_full_memory(models_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where torch's own limit takes the place of this one."""
    bench = Bench(Settings(device="cpu", tiny=True, models=str(models_root)))
    bench.sizes = replace(bench.sizes, batches=(1, 4), usual=2, frames=24)
    room = _Room(monkeypatch)
    found: dict[str, Any] = {}
    at_plan(bench, found.__setitem__, room)
    assert found["bytes"] == {"single": 110, "largest_batch": 140, "limit": 125}
    assert found["batch_after_plan"] == 2
    assert found["grey_levels"]["max"] == 0
    found.clear()
    at_frames(bench, found.__setitem__, room)
    assert (found["batch_after_plan"], found["batch_after_frames"]) == (4, 2)
    assert found["grey_levels"]["max"] == 0
    room.set(None)
    found.clear()
    at_one_frame(bench, found.__setitem__, room)
    assert found["error"]["code"] == "engine.out_of_memory"
    assert found["frames_afterwards"] == 24


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_script_without_a_gpu(models_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    settings = Settings(device="cpu", tiny=True, models=str(models_root))
    steps = [replace(step, limit_s=4 * step.limit_s) for step in STEPS]  # the machine may be busy
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = measure_gpu(path, settings, steps=steps, total_s=800)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{after.ru_utime - before.ru_utime:.0f} CPU seconds")  # noqa: T201 - for `-s`
    assert found["complete"]
    states = {name: step["state"] for name, step in found["steps"].items()}
    reasons = {step.get("reason") for step in found["steps"].values()}
    expected = {step.name: "skipped" if step.needs_cuda else "done" for step in STEPS}
    assert states == expected, found
    assert reasons == {None, NO_CUDA}
    result = {name: step.get("result") for name, step in found["steps"].items()}
    assert result["environment"]["cuda"] is False
    assert result["parity"]["float32"]["picture_grey_levels"]["max"] <= 1
    assert all(result["parity"]["float32"][each]["finite"] for each in ("warp", "paint"))
    assert result["threads"]["errors"] == {}
    assert len(result["profile"]["top"]) == 15
    assert {"whole", "follow", "read", "paint", "encode"} <= set(result["clip"])
    encoded = result["encoders"]["libx264"]
    assert encoded["frames_read_back"] == encoded["frames"]
    measured = [result[name] for name in result if name.startswith("batches_")]
    assert [one for one in measured if "ratio_to_loop" in one]
    stamp = path.stat().st_mtime_ns
    assert measure_gpu(path, settings, steps=steps) == found
    assert path.stat().st_mtime_ns == stamp, "there was nothing to do"
    assert not list(tmp_path.glob(".*.part"))

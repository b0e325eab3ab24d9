"""The stopwatch adds up, whatever runs inside it and whatever the clock does."""

import math
import mmap
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.costs import memory
from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.stopwatch import OTHER, Stopwatch
from sunriza_assets.errors import CostError

STAGES = ("decode", "extract", "render", "encode", "upload")


def touch(size: int, *, for_s: float = 0.0) -> None:
    """Take memory from the kernel and give it back; an allocator may have kept some to reuse."""
    with mmap.mmap(-1, size) as ballast:
        for page in range(0, size, mmap.PAGESIZE):
            ballast[page] = 1
        time.sleep(for_s)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_nested_stages_are_exclusive() -> None:
    clock = Clock()
    with Stopwatch(clock=clock) as watch:
        clock.pass_by(1)
        with watch.stage("render"):
            clock.pass_by(2)
            with watch.stage("encode"):
                clock.pass_by(3)
            clock.pass_by(4)
        clock.pass_by(5)
    record = watch.record()
    assert record.stages == {OTHER: 6, "render": 6, "encode": 3}
    assert record.wall_s == 15


def test_streaming_stages_take_turns() -> None:
    """Decode feeds render, render feeds encode: each second belongs to the one that spent it."""
    clock = Clock()

    def decoded() -> Iterator[int]:
        for index in range(3):
            clock.pass_by(1)
            yield index

    def rendered(clip: Iterator[int]) -> Iterator[int]:
        for index in clip:
            clock.pass_by(10)
            yield index

    with Stopwatch(clock=clock) as watch:
        frames = watch.iterate("render", rendered(watch.iterate("decode", decoded())))
        for _ in frames:
            with watch.stage("encode"):
                clock.pass_by(100)
            clock.pass_by(1000)
    assert watch.record().stages == {OTHER: 3000, "decode": 3, "render": 30, "encode": 300}


def test_a_consumer_that_stops_early_closes_the_source() -> None:
    closed = []

    def frames() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    with Stopwatch() as watch:
        stream = watch.iterate("render", frames())
        assert next(stream) == 0
        stream.close()
    assert closed


def test_what_lies_before_the_start_belongs_to_the_step() -> None:
    clock, wall = Clock(), Clock()
    wall.pass_by(1000)
    watch = Stopwatch(
        clock=clock, wall_clock=wall, head_start=("dagster", 3.0), queued_at=wall() - 5
    )
    with watch, watch.stage("extract"):
        clock.pass_by(7)
        assert watch.elapsed_s == 10
    record = watch.record()
    assert record.stages == {OTHER: 0, "dagster": 3, "extract": 7}
    assert (record.wall_s, watch.elapsed_s) == (10, 10)
    assert (record.started_at, record.queue_s) == (wall() - 3, 2)


def test_an_error_leaves_a_record_that_adds_up() -> None:
    clock = Clock()
    watch = Stopwatch(clock=clock)

    def fail() -> None:
        with watch, watch.stage("extract"):
            clock.pass_by(7)
            raise ValueError("no face")

    with pytest.raises(ValueError, match="no face"):
        fail()
    assert watch.record().stages["extract"] == 7
    assert watch.record().wall_s == 7


@given(
    st.lists(
        st.tuples(
            st.sampled_from((*STAGES, "leave")),
            st.floats(min_value=-1e6, max_value=1e6, allow_nan=False),
        ),
        max_size=40,
    )
)
def test_stages_add_up_to_the_wall_time_with_any_clock(program: list[tuple[str, float]]) -> None:
    """Steps of the clock may even be negative: then nothing passed, and nothing is negative."""
    clock = Clock()
    open_stages = []
    with Stopwatch(clock=clock) as watch:
        for word, seconds in program:
            if word != "leave":
                stage = watch.stage(word)
                stage.__enter__()
                open_stages.append(stage)
            elif open_stages:
                open_stages.pop().__exit__(None, None, None)
            clock.pass_by(seconds)
        while open_stages:
            open_stages.pop().__exit__(None, None, None)
    record = watch.record()
    assert math.isclose(math.fsum(record.stages.values()), record.wall_s, abs_tol=1e-4)
    assert all(seconds >= 0 for seconds in record.stages.values())


def test_a_wall_clock_that_jumps_changes_no_duration() -> None:
    steady, wall = Clock(), Clock(1_700_000_000.0)
    with Stopwatch(clock=steady, wall_clock=wall, queued_at=1_699_999_990.0) as watch:
        with watch.stage("render"):
            steady.pass_by(2)
            wall.pass_by(-86_400)
        steady.pass_by(1)
        wall.pass_by(+172_800)
    record = watch.record()
    assert (record.wall_s, record.stages["render"], record.queue_s) == (3, 2, 10)
    assert record.started_at == 1_700_000_000.0


def test_a_queue_time_from_the_future_is_unknown_rather_than_wrong() -> None:
    with Stopwatch(wall_clock=Clock(100.0), queued_at=101.0) as watch:
        pass
    assert watch.record().queue_s is None
    assert "queue_s" not in watch.record().to_dict()


def test_cpu_seconds_count_this_process_and_its_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    with Stopwatch() as watch:
        subprocess.run([sys.executable, "-c", burn], check=True)
        before = time.process_time()
        while time.process_time() < before + 0.2:
            pass
    cpu_s = watch.record().cpu_s
    assert cpu_s is not None
    assert cpu_s >= 0.45


def test_peak_memory_is_that_of_the_step_not_of_the_process() -> None:
    size = 150_000_000
    with Stopwatch() as outer:
        with Stopwatch() as small:
            pass
        with Stopwatch() as large:
            touch(size)
        with Stopwatch() as after:
            pass
    peaks = {
        name: watch.record().peak_memory_bytes or 0
        for name, watch in (("outer", outer), ("small", small), ("large", large), ("after", after))
    }
    assert peaks["large"] >= peaks["small"] + 0.9 * size
    assert peaks["after"] <= peaks["large"] - 0.9 * size
    assert peaks["outer"] >= peaks["large"]


def test_where_the_kernel_keeps_no_mark_a_thread_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_reset_high_water", lambda: False)
    size = 150_000_000
    with Stopwatch() as small:
        pass
    with Stopwatch() as large:
        touch(size, for_s=0.2)
    record = large.record()
    assert record.peak_memory_method == "sampled"
    assert (record.peak_memory_bytes or 0) >= (small.record().peak_memory_bytes or 0) + 0.9 * size


def test_stages_of_another_thread_are_not_added() -> None:
    clock = Clock()
    with Stopwatch(clock=clock) as watch, watch.stage("render"):

        def work() -> None:
            with watch.stage("encode"):
                clock.pass_by(5)

        helper = threading.Thread(target=work)
        helper.start()
        helper.join()
    assert watch.record().stages == {OTHER: 0, "render": 5}


def test_gpu_seconds_are_those_of_gpu_stages_on_an_accelerator() -> None:
    clock = Clock()
    with Stopwatch(clock=clock, device=Device("Tesla T4", "cuda")) as watch:
        with watch.stage("extract", gpu=True):
            clock.pass_by(4)
            with watch.stage("decode"):
                clock.pass_by(2)
        for _ in watch.iterate("render", (clock.pass_by(3) for _ in range(2)), gpu=True):
            clock.pass_by(1)
    assert watch.record().gpu_s == 10
    assert watch.record().device == "Tesla T4"


def test_without_an_accelerator_gpu_stages_are_cpu_work() -> None:
    clock = Clock()
    with Stopwatch(clock=clock) as watch, watch.stage("extract", gpu=True):
        clock.pass_by(4)
    assert watch.record().device_kind == "cpu"
    assert watch.record().gpu_s == 0


def test_the_first_step_with_an_engine_is_cold() -> None:
    cold = []
    for _ in range(2):
        with Stopwatch() as watch:
            watch.engine = "an engine of this test alone"
        cold.append(watch.record().cold)
    assert cold == [True, False]


def test_amounts_are_added_and_unknown_ones_stay_unknown() -> None:
    with Stopwatch() as watch:
        watch.count(frames=100, bytes_in=None)
        watch.count(frames=50, clip_s=2.5)
        watch.cache_hit(saved_s=41.5)
    record = watch.record()
    assert (record.frames, record.clip_s, record.bytes_in) == (150, 2.5, None)
    assert (record.cache, record.cache_saved_s) == ("hit", 41.5)
    with Stopwatch() as watch, pytest.raises(TypeError, match="apples"):
        watch.count(apples=3)


def test_a_record_survives_the_event_log() -> None:
    with Stopwatch(engine="mesh", engine_version="3", queued_at=time.time() - 1) as watch:
        with watch.stage("render"):
            watch.count(frames=250, clip_s=10.0, clip_frames=250, bytes_in=1, bytes_out=2)
        watch.cache_miss()
    record = watch.record()
    flat = record.to_dict()
    assert all(isinstance(value, str | int | float | bool) for value in flat.values())
    assert StepRecord.from_dict(flat | {"preview": "![](data:...)", "width": 512}) == record


@pytest.mark.parametrize(
    "flat",
    [
        {},
        {"wall_s": 1.0},
        {"wall_s": "soon", "device": "x", "device_kind": "cpu"},
        {"wall_s": -1.0, "device": "x", "device_kind": "cpu"},
        {"wall_s": math.nan, "device": "x", "device_kind": "cpu"},
        {"wall_s": 1.0, "device": "x", "device_kind": "cpu", "stage_render_s": -2.0},
        {"wall_s": 1.0, "device": "x", "device_kind": "cpu", "cache": "maybe"},
    ],
)
def test_metadata_that_is_no_record_is_refused(flat: dict[str, object]) -> None:
    with pytest.raises(CostError):
        StepRecord.from_dict(flat)

"""A whole clip, split into its parts, and where the painting networks spend their time."""

import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiling

from sunriza_assets.studio.bench.gpu.bench import Bench, Note
from sunriza_assets.studio.bench.liveportrait import Scene
from sunriza_assets.studio.bench.liveportrait_clip import measure_clip
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.device import place
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.networks.appearance import CROP_SIZE
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.reader import Reader, to_input
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.sample.performance import perform

__all__ = ["clip", "profile"]

_TOP: Final = 15
_READ_AT_ONCE: Final = 16
_RATE: Final = Fraction(30)
_TINY_S: Final = Fraction(1, 5)
"""Seconds of the performance when the script is only tried out."""


def clip(bench: Bench, note: Note) -> None:
    """Seconds of a whole idle, then of each part by itself: follow, read, paint, encode."""
    modules, count = bench.modules(), bench.sizes.clip_frames
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = measure_clip(
            bench.models,
            folder,
            device=str(bench.device),
            precision=bench.usual_precision,
            frames=count,
            modules=modules,
            side=bench.sizes.picture,
            performance=perform(seconds=_TINY_S) if bench.settings.tiny else None,
        )
        note("whole", whole)
        source = folder / "clip720.mp4"
        faces = FaceReader(bench.models)
        note("follow", _each(lambda: _walk(faces.follow(read_frames(source)))))
        crops = [
            np.asarray(cv2.resize(frame, (CROP_SIZE, CROP_SIZE)), dtype=np.uint8)
            for frame in islice(read_frames(source), count)
        ]
        reader = Reader(modules, bench.device)
        reader.motion(crops[:_READ_AT_ONCE])  # the first call chooses algorithms
        parts = range(0, len(crops), _READ_AT_ONCE)
        note("read", _each(lambda: _read(reader, [crops[k : k + _READ_AT_ONCE] for k in parts])))
        rendering = bench.planned(bench.engine(modules))
        kept: list[Image] = []
        note("paint", _each(lambda: _keep(islice(rendering.frames(), count), kept, bench)))
        note("encode", _each(lambda: _encoded(kept, folder / "parts.mp4")))


@torch.inference_mode()
def profile(bench: Bench, note: Note) -> None:
    """The operations that take most time: of reading, warping and painting one batch, eager."""
    modules = bench.modules()
    scene = Scene.made(modules)
    batch = bench.sizes.usual if bench.on_cuda else 1
    crops = [scene.crops[k % len(scene.crops)] for k in range(batch)]
    poses = scene.poses(modules, to_input(crops))
    painter = Painter(modules, place(bench.device, bench.usual_precision), batch, fixed=False)
    source = painter.prepare(scene.volume, scene.keypoints)
    reader = Reader(modules, bench.device)

    def work() -> None:
        reader.motion(crops)
        painter(source, poses).pictures.cpu()

    work()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * bench.on_cuda
    with profiling(activities=activities) as seen:
        work()
    key = "self_device_time_total" if bench.on_cuda else "self_cpu_time_total"
    # On a GPU kernels alone: the operations that launch them would count their time twice.
    kind = "CUDA" if bench.on_cuda else "CPU"
    rows = [row for row in seen.key_averages() if row.device_type.name == kind]
    rows.sort(key=lambda row: -getattr(row, key))
    total = sum(getattr(row, key) for row in rows) or 1
    note("batch", batch)
    note("total_ms", total / 1e3)
    note(
        "top",
        [
            {
                "name": str(row.key)[:120],
                "calls": row.count,
                "ms": getattr(row, key) / 1e3,
                "share": getattr(row, key) / total,
            }
            for row in rows[:_TOP]
        ],
    )


def _each(work: Callable[[], int]) -> dict[str, Any]:
    """Seconds of some work, and milliseconds for each of the frames that it says it did."""
    begin, used = time.perf_counter(), time.process_time()
    frames = work()
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - used
    return {
        "frames": frames,
        "seconds": seconds,
        "ms": 1e3 * seconds / frames,
        "cpu_ms": 1e3 * cpu_s / frames,
    }


def _walk(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def _read(reader: Reader, groups: list[list[Image]]) -> int:
    return sum(len(reader.motion(group)) for group in groups)


def _keep(frames: Iterable[Image], kept: list[Image], bench: Bench) -> int:
    count = 0
    for frame in frames:
        count += 1
        if len(kept) < bench.sizes.kept_frames:
            kept.append(frame)
    return count


def _encoded(frames: list[Image], path: Path) -> int:
    encode(frames, path, rate=_RATE)
    return len(frames)

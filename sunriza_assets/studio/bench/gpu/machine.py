"""The machine itself: versions and devices, onnxruntime's provider, the H.264 encoders."""

import os
import platform
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import av
import numpy as np
import torch

from sunriza_assets.cores import core_count
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.bench.gpu.bench import PRECISIONS, Bench, Note
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.device import device_name, precision_note
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.onnx import onnxruntime
from sunriza_assets.studio.face.runtime import CPU, CUDA, Graph, usable_provider
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.encoder import Encoder, pick_encoder
from sunriza_assets.studio.media.frames import read_frames

__all__ = ["encoders", "environment", "onnx"]

_ENCODERS: Final[tuple[Encoder, ...]] = ("libx264", "h264_nvenc")
_SHIFT: Final = 4
"""Pixels by which each frame to encode is moved against the one before."""
_RATE: Final = Fraction(30)
_CALLS: Final = 20
_VARIABLES: Final = ("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF")
"""Environment variables that change figures; others may be secrets."""


def environment(bench: Bench, note: Note) -> None:
    """What the figures were measured on."""
    note("cuda", bench.on_cuda)
    note("device", device_name(bench.device))
    note("cores", core_count())
    note("system", platform.platform())
    note("python", platform.python_version())
    note("torch", {"version": torch.__version__, "cuda": torch.version.cuda})
    note("onnxruntime", onnxruntime.__version__)
    note("pyav", av.__version__)
    note("variables", {name: os.environ[name] for name in _VARIABLES if name in os.environ})
    note(
        "precisions", {each: precision_note(bench.device, each) or "native" for each in PRECISIONS}
    )
    if bench.on_cuda:
        note("cudnn", torch.backends.cudnn.version())
        note("gpu", _gpu(bench.device))


def onnx(bench: Bench, note: Note) -> None:
    """On which provider face models run, what a call takes on each, and how far they differ."""
    usable, fault = usable_provider()
    note("usable", usable)
    note("fault", fault)
    note("available", onnxruntime.get_available_providers())
    path = ModelStore(bench.models).path("face_landmark")
    tried = [CPU, CUDA] if usable == CUDA else [CPU]
    outputs: dict[str, dict[str, Any]] = {}
    for provider in tried:
        graph = Graph(path, provider=provider)
        shape = [size if isinstance(size, int) else 1 for size in _input_shape(path)]
        values = np.random.default_rng(0).random(shape, dtype=np.float32)
        outputs[provider] = graph.run(values)  # the first one loads
        begin = time.perf_counter()
        for _ in range(_CALLS):
            graph.run(values)
        taken = (time.perf_counter() - begin) / _CALLS
        note(provider, {"runs_on": graph.provider, "ms": 1e3 * taken})
    if len(outputs) > 1:
        off = (np.abs(outputs[CPU][key] - outputs[CUDA][key]).max() for key in outputs[CPU])
        note("largest_difference", max(float(each) for each in off))
    begin = time.perf_counter()
    mesh = FaceMesh(ModelStore(bench.models))
    picture = bench.portrait()
    found = [each for each in mesh.track(_moving(picture, bench.sizes.kept_frames)) if each]
    note("tracking_provider", mesh.provider)
    note("tracked", len(found))
    note("tracking_ms", 1e3 * (time.perf_counter() - begin) / bench.sizes.kept_frames)


def encoders(bench: Bench, note: Note) -> None:
    """Frames a second of each encoder at the portrait's size; what is written is read back."""
    side, count = bench.sizes.picture, bench.sizes.kept_frames
    note("size", side)
    note("chosen", pick_encoder(side, side))
    frames = list(_moving(bench.portrait(), count))
    with TemporaryDirectory() as name:
        for encoder in _ENCODERS:
            if encoder != "libx264" and pick_encoder(side, side) != encoder:
                note(encoder, {"skipped": "a test encode does not work here"})
                continue
            path = Path(name) / f"{encoder}.mp4"
            begin, used = time.perf_counter(), time.process_time()
            try:
                info = encode(frames, path, rate=_RATE, encoder=encoder)
            except MediaError as error:
                note(encoder, {"error": error.message})
                continue
            taken, cpu_s = time.perf_counter() - begin, time.process_time() - used
            note(
                encoder,
                {
                    "frames_per_second": count / taken,
                    "cpu_ms": 1e3 * cpu_s / count,
                    "frames": count,
                    "frames_read_back": sum(1 for _ in read_frames(path)),
                    "bytes": path.stat().st_size,
                    "seconds": float(info.duration),
                },
            )


def _gpu(device: torch.device) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    return {
        "count": torch.cuda.device_count(),
        "capability": list(torch.cuda.get_device_capability(device)),
        "processors": properties.multi_processor_count,
        "memory_mb": total >> 20,
        "free_mb": free >> 20,
    }


def _input_shape(path: Path) -> list[Any]:
    session = onnxruntime.InferenceSession(str(path), providers=[CPU])
    return list(session.get_inputs()[0].shape)


def _moving(picture: Image, count: int) -> Iterator[Image]:
    """The picture, swaying to the side."""
    steps = cycle([0, 1, 2, 3, 2, 1])
    for step in islice(steps, count):
        yield np.roll(picture, step * _SHIFT, axis=1)

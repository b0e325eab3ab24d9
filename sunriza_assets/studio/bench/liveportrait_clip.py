"""How fast a whole idle is made: decode, follow, read, move, paint, paste back, encode."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.device import Precision, device_name, pick_device
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.encoder import pick_encoder
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import write_sample
from sunriza_assets.studio.sample.performance import Performance

__all__ = ["measure_clip"]

_CLIP: Final = (720, 1280)
"""Rows and columns of the clip."""
_PORTRAIT_SIDE: Final = 1280
_RATE: Final = Fraction(30)
_PRECISION: Final = ("precision", "precision_note")
_WARM_UP_FRAMES: Final = 16
"""As many as the motion extractor reads at a time."""


def measure_clip(
    models_root: Path,
    folder: Path,
    *,
    device: str | None = None,
    precision: Precision = "auto",
    frames: int = 300,
    modules: Modules | None = None,
    side: int = _PORTRAIT_SIDE,
    performance: Performance | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Make one idle of the sample portrait from the sample clip, with stand-in weights.

    Args:
        models_root: the models folder, for the face models.
        folder: where files are written.
        device: cpu or cuda; None takes a CUDA device where there is one.
        precision: of the painting networks.
        frames: frames of the clip, at 30 a second.
        modules: networks to use; None makes stand-in weights.
        side: of the portrait, pixels.
        performance: of the sample clip; None is the whole one.
        report: called with a line for each stage.

    Returns:
        JSON values: `device`, `precision`, `precision_note` where it is not the one asked for,
        `encoder`, `frames`, `extract_s`, `plan_s`, `render_s` (encoding
        goes on meanwhile), `frames_per_second` of the whole, `gpu_memory_mb` with a GPU.

    Raises:
        ModelError: the face models have not been pulled.
    """
    where = pick_device(device)
    report("Making the sample clip")
    sample = write_sample(folder, models_root, performance=performance)
    clip = folder / "clip720.mp4"
    seen = list(read_frames(sample.clip))
    encode(_widened(islice(cycle(seen), frames)), clip, rate=_RATE)
    short = folder / "short.mp4"
    encode(_widened(islice(seen, _WARM_UP_FRAMES)), short, rate=_RATE)
    portrait = cv2.resize(read_picture(sample.portrait), (side,) * 2, interpolation=cv2.INTER_CUBIC)
    engine = LivePortraitEngine(
        models_root, device=device, precision=precision, modules=modules or Modules.seeded()
    )
    parameters = RenderParameters(
        loop=False, driving_multiplier=1.0, stitching_retargeting_eyes_width=side
    )
    report("Warming up")
    picture = np.asarray(portrait, dtype=np.uint8)
    _ = engine.render(picture, engine.extract(short), parameters)
    report("Measuring")
    start = time.perf_counter()
    template = engine.extract(clip)
    extracted = time.perf_counter()
    rendering = engine.render(picture, template, parameters)
    planned = time.perf_counter()
    encode(rendering.frames(), folder / "idle.mp4", rate=rendering.rate)
    done = time.perf_counter()
    result: dict[str, Any] = {
        "device": device_name(where),
        **{name: rendering.facts[name] for name in _PRECISION if name in rendering.facts},
        "encoder": pick_encoder(*rendering.size),
        "frames": rendering.frame_count,
        "extract_s": round(extracted - start, 3),
        "plan_s": round(planned - extracted, 3),
        "render_s": round(done - planned, 3),
        "frames_per_second": round(rendering.frame_count / (done - start), 2),
    }
    if where.type == "cuda":
        result["gpu_memory_mb"] = torch.cuda.max_memory_reserved(where) >> 20
    return result


def _widened(frames: Iterator[Image]) -> Iterator[Image]:
    """Square frames in the middle of a 720p picture."""
    rows, columns = _CLIP
    for frame in frames:
        wide = np.full((rows, columns, 3), 96, np.uint8)
        left = (columns - rows) // 2
        wide[:, left : left + rows] = cv2.resize(frame, (rows, rows))
        yield wide

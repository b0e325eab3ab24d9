"""CPU milliseconds a frame of the mesh engine, separately for extraction, rendering, encoding.

CPU time, not wall time: on a shared machine only that can be compared from run to run.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np

from sunriza_assets.studio.contracts.engine import Image, Rendering
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import write_sample

__all__ = ["SIDES", "measure"]

SIDES: Final = (512, 1024)
"""Longest sides of the portrait, pixels."""
_ROUNDS: Final = 3
_PARAMETERS: Final = RenderParameters(driving_multiplier=1, scale_multiplier=1, loop=False)


def measure(models: Path) -> dict[str, Any]:
    """Measure with the sample; the best of three rounds of each.

    Returns:
        extract_ms a clip frame, and for each portrait size render_ms and encode_ms a frame.
    """
    engine = MeshEngine(models)
    with TemporaryDirectory() as name:
        folder = Path(name)
        sample = write_sample(folder, models)
        template = engine.extract(sample.clip)  # the first one loads the models
        spent = min(_cpu(lambda: engine.extract(sample.clip)) for _ in range(_ROUNDS))
        found: dict[str, Any] = {"extract_ms": _ms(spent, template.frame_count)}
        picture = read_picture(sample.portrait)
        for side in SIDES:
            rendering = engine.render(_scaled(picture, side), template, _PARAMETERS)
            found[str(side)] = _rendered(rendering, folder / "bench.mp4")
    return found


def _rendered(rendering: Rendering, target: Path) -> dict[str, float]:
    frames = list(rendering.frames())
    render = min(_cpu(lambda: _walk(rendering.frames())) for _ in range(_ROUNDS))
    spent = min(_cpu(lambda: encode(frames, target, rate=rendering.rate)) for _ in range(_ROUNDS))
    return {"render_ms": _ms(render, len(frames)), "encode_ms": _ms(spent, len(frames))}


def _scaled(picture: Image, side: int) -> Image:
    factor = side / max(picture.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method))


def _walk(frames: Iterator[Image]) -> None:
    for _ in frames:
        pass


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all its threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _ms(seconds: float, frames: int) -> float:
    return round(1000 * seconds / frames, 2)

"""The server of a remote engine: executes requests on objects of the bucket.

`serve` is a plain function of one JSON value, so that any remote function service can call it: a
deployed Modal function (`deploy/modal/app.py`) or, for debugging, a process of its own:

    python -m resources.engines.remote_server '{"do": "identity", "engine": "mesh"}'

It reads the objects named in the request from the bucket of this process and writes its results
below the folder `into`. The client is `remote.py`.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from resources.engines.choice import choose_engine
from resources.home import Home
from resources.storage.objects import MediaStorage
from resources.stores import open_stores
from sunriza_assets.errors import EngineError, SunrizaError

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine, Image

__all__ = ["FRAMES", "main", "serve"]

FRAMES: Final = "frames.mkv"
"""Frames in transfer: lossless H.264 in RGB, so the client decodes identical frames."""


def serve(request: Mapping[str, Any]) -> dict[str, Any]:
    """Do one of `identity`, `extract`, `perform`, `render`, `visemes`.

    Args:
        request: `do`, `engine` (auto, mesh, liveportrait) and, by what is to be done:
            extract: `clip`; perform: `script`; render: `portrait`, `template`, `parameters`;
            visemes: `portrait`, `parameters`. Files are object names; `into` is a folder of
            objects for the results.

    Returns:
        The results, and `metrics`: engine, its version, device, seconds. An error that this system
        raises on purpose is returned as `error` (class, what, remedy, code), for the client to
        raise again; anything else is raised here.
    """
    begin = time.monotonic()
    try:
        with TemporaryDirectory(prefix="sunriza-") as folder:
            call = _RequestContext(dict(request), Path(folder), open_stores().storage)
            choice = choose_engine(call.request["engine"], Home.from_environment().models)
            answer = _handler(request["do"])(choice.engine, call)
    except SunrizaError as error:
        error_fields = {"what": error.what, "remedy": error.remedy, "code": error.code}
        return {"error": {"class": type(error).__name__, **error_fields}}
    metrics = {
        "engine": choice.engine.name,
        "engine_version": choice.engine.version,
        "engine_reason": choice.reason,
        **_device(),
        "seconds": round(time.monotonic() - begin, 3),
    }
    return {**answer, "metrics": metrics}


def main() -> None:
    """Serve the request in the first argument; the answer is one JSON value on standard output."""
    sys.stdout.write(json.dumps(serve(json.loads(sys.argv[1]))) + "\n")


class _RequestContext:
    """One request with its working folder and storage."""

    def __init__(self, request: dict[str, Any], folder: Path, storage: MediaStorage) -> None:
        self.request = request
        self.folder = folder
        self._storage = storage

    def fetched(self, key: str) -> Path:
        """A local copy of the object that the request names."""
        return self._storage.fetch(self.request[key], self.folder / key)

    def put(self, file: Path) -> str:
        """Store a result; its object name."""
        return self._storage.put(file, f"{self.request['into']}/{file.name}", private=True).name


def _identity(engine: "AnimationEngine", call: _RequestContext) -> dict[str, Any]:
    return {"identity": dict(engine.extraction_identity())}


def _extract(engine: "AnimationEngine", call: _RequestContext) -> dict[str, Any]:
    template = engine.extract(call.fetched("clip"))
    file = call.folder / "motion.npz"
    template.save(file)
    return {"template": call.put(file)}


def _perform(engine: "AnimationEngine", call: _RequestContext) -> dict[str, Any]:
    from sunriza_assets.studio.performances.script import MotionScript

    template = engine.perform(MotionScript.load(call.fetched("script")))
    file = call.folder / "motion.npz"
    template.save(file)
    return {"template": call.put(file)}


def _render(engine: "AnimationEngine", call: _RequestContext) -> dict[str, Any]:
    from sunriza_assets.studio.media.picture import read_picture
    from sunriza_assets.studio.motion.template import MotionTemplate
    from sunriza_assets.studio.parameters import resolve

    portrait = read_picture(call.fetched("portrait"))
    template = MotionTemplate.load(call.fetched("template"))
    rendering = engine.render(portrait, template, resolve(call.request["parameters"]))
    file = call.folder / FRAMES
    _write_lossless(rendering.frames(), file, rendering.rate)
    return {
        "frames": call.put(file),
        "size": list(rendering.size),
        "rate": [rendering.rate.numerator, rendering.rate.denominator],
        "frame_count": rendering.frame_count,
        "track": rendering.track.tolist(),
        "facts": dict(rendering.facts),
    }


def _visemes(engine: "AnimationEngine", call: _RequestContext) -> dict[str, Any]:
    import numpy as np

    from sunriza_assets.studio.media.picture import read_picture
    from sunriza_assets.studio.parameters import resolve

    portrait = read_picture(call.fetched("portrait"))
    visemes = engine.visemes(portrait, resolve(call.request["parameters"]))
    file = call.folder / "cells.npz"
    np.savez_compressed(file, cells=np.stack(list(visemes.cells.values())))
    return {
        "cells": call.put(file),
        "names": list(visemes.cells),
        "roi": visemes.roi.to_document(),
        "lips": visemes.lips.tolist(),
        "iod": visemes.iod,
    }


def _handler(name: str) -> Callable[["AnimationEngine", _RequestContext], dict[str, Any]]:
    known = {
        "identity": _identity,
        "extract": _extract,
        "perform": _perform,
        "render": _render,
        "visemes": _visemes,
    }
    if name not in known:
        raise EngineError(f"{name!r} is nothing to do", remedy=f"Known are: {', '.join(known)}.")
    return known[name]


def _write_lossless(frames: Iterable["Image"], path: Path, rate: Fraction) -> None:
    """Encode RGB frames so that decoding gives back every byte."""
    import av
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        for frame in frames:
            if stream is None:
                options = {"qp": "0", "preset": "ultrafast"}  # x264: no quantizer, no loss
                stream = container.add_stream("libx264rgb", rate=rate, options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "rgb24"
            container.mux(stream.encode(VideoFrame.from_ndarray(frame, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))


def _device() -> dict[str, str]:
    from sunriza_assets.costs.devices import accelerator, cpu

    device = accelerator() or cpu()
    return {"device": device.name, "device_kind": device.kind}


if __name__ == "__main__":
    main()
